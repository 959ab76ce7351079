"""Models that are taken in: from a folder, the hub or a server, and checked again before each load."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelError
from core.registry import ARTIFACT, EXTRACTIVE, REMOTE, Kind, ModelFile, ModelVersion, unknown
from core.serving import training_run, weights
from core.serving.adapters import Base, check_adapter, check_adapter_of_server, recorded_names
from core.serving.folders import Watch, check_name, unwatched
from core.serving.inspection import ADAPTER_CONFIG, CONFIG, inspect, settings
from core.serving.shelf import MANIFEST, Shelf, by_name, digests, refuse_changed

_ON_HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_ON_SERVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Wanted:
    """What whoever imports a model says of it."""

    kind: Kind = Kind.GENERATOR
    base: str = ""  # the id of a registered version, or of a model of the hub, that an adapter belongs to
    name: str = ""
    licence: str = ""
    actor: str = ""
    watch: Watch = unwatched


class Artifacts:
    """Imported models on this machine. Its methods read and hash gigabytes: call them in a thread."""

    def __init__(self, root: Path, model_dir: Path, report: Callable[[str], None] = lambda line: None) -> None:
        """`root` is the folder of imported models, `model_dir` the one of `weights.resolve`."""
        self._shelf = Shelf(root, report)
        self._model_dir = model_dir
        self._report = report

    def take(
        self, source: str, known: Sequence[ModelVersion] = (), *, kind: Kind = Kind.GENERATOR, base: str = "", name: str = "",
        licence: str = "", actor: str = "", watch: Watch = unwatched,
    ) -> ModelVersion:  # fmt: skip
        """Return the version that `source` (a folder, ORG/NAME of the hub, or remote:NAME) is, for the registry to keep.

        Nothing of it is opened before it was inspected. A folder is copied; `known` are the versions a base may be among. Raises
        `ModelError`, and leaves nothing behind.
        """
        wanted = Wanted(kind, base, name, licence, actor, watch)
        try:
            if name:
                check_name(name, "the name of a model")
            if source.startswith(REMOTE):
                return _on_server(source, wanted)
            if (path := _existing(source)) is not None:
                return self._keep(path, name or path.resolve().name.partition("@")[0], wanted, known)
            return self._from_hub(source, wanted, known)
        except OSError as error:
            raise ModelError(f"{source!r} was not imported: {error.strerror or error}. Nothing was changed.") from error
        except ModelError as error:
            raise ModelError(f"{source!r} was not imported: {error}") from error

    def folder(self, location: str) -> Path:
        """Return the folder that a location means, without a look into it. Raises `ModelError` when there is none on this machine."""
        return self._shelf.folder(location.removeprefix(ARTIFACT)) if location.startswith(ARTIFACT) else self._found(location).folder

    def verify(self, version: ModelVersion) -> None:
        """Raise `ModelError` unless every file is as it was when the version was registered, and none was added; an imported base too."""
        if version.location == EXTRACTIVE or version.location.startswith(REMOTE):
            return
        try:
            if version.base.startswith(ARTIFACT):
                self._verify_by_name(version.base.removeprefix(ARTIFACT))
            if version.location.startswith(ARTIFACT):
                refuse_changed(self.folder(version.location), by_name(version.files))
            else:
                self._verify_elsewhere(version)
        except OSError as error:
            raise ModelError(f"{version.model_id!r} is not opened: {error.strerror or error}.") from error
        except ModelError as error:
            raise ModelError(f"{version.model_id!r} is not opened: {error}") from error

    def open(self, version: ModelVersion) -> weights.Weights:
        """Return the folder of a version, verified, under the id that answers name. Of an adapter that is the adapter's alone."""
        self.verify(version)
        return weights.Weights(self.folder(version.location), version.model_id)

    def base(self, version: ModelVersion) -> weights.Weights:
        """Return the weights that an adapter belongs to; they are shared by all adapters on them."""
        if version.base.startswith(ARTIFACT):
            return weights.Weights(self.folder(version.base), version.base.removeprefix(ARTIFACT))
        return self._found(version.base)

    def _keep(self, path: Path, name: str, wanted: Wanted, known: Sequence[ModelVersion]) -> ModelVersion:
        check_name(name, "the name of a model (give another: --name NAME)")
        with self._shelf.copied(path, wanted.watch) as copy:
            files = inspect(copy, watch=wanted.watch)
            run = training_run.read(copy)
            base = self._base_of(copy, run, wanted, known)
            model_id = f"{name}@{_digits(wanted.kind, base, files)}"
            version = ModelVersion(
                model_id, wanted.kind, ARTIFACT + model_id, base, files, run.recipe, run.dataset_sha256, run.scores,
                wanted.licence or run.licence, wanted.actor,
            ).cleaned()  # fmt: skip
            self._shelf.put(copy, model_id, version)
            return version

    def _base_of(self, copy: Path, run: training_run.Run, wanted: Wanted, known: Sequence[ModelVersion]) -> str:
        """Return the location of the base, empty for a whole model, after the checks that are due to either."""
        named = wanted.base or run.base
        if not (copy / ADAPTER_CONFIG).is_file():
            _check_whole(copy, wanted)
            return ""
        if not named:
            raise ModelError(f"It is an adapter ({ADAPTER_CONFIG!r}). Say which model it belongs to: --base ID")
        if named.startswith(REMOTE):
            check_adapter_of_server(copy, named.removeprefix(REMOTE))
            return named
        if wanted.base and run.base and (ours := self._base(wanted.base, known)) != (theirs := self._base(run.base, known)):
            raise ModelError(f"{training_run.FILE!r} says that it was trained on {theirs[0]!r}, not on {ours[0]!r}. Leave --base out.")
        location, base = self._base(named, known)
        check_adapter(copy, base)
        return location

    def _base(self, named: str, known: Sequence[ModelVersion]) -> tuple[str, Base]:
        version = next((one for one in known if named in (one.model_id, one.location)), None)
        plain, _, digits = named.partition("@")
        if version is not None:
            if version.base or version.location == EXTRACTIVE or version.location.startswith(REMOTE):
                raise ModelError(f"{named!r} cannot be a base: it has no weights of its own here. Name a whole model.")
            folder, model_id, location = self.folder(version.location), version.model_id, version.location
        elif _ON_HUB.fullmatch(plain):
            found = self._found(plain)
            if digits and found.version != named:
                raise ModelError(f"The base {named!r} is not at hand: {plain!r} is {found.version!r} on this machine.")
            folder, model_id, location = found.folder, found.version, plain
        else:
            raise unknown(named, [one.model_id for one in known])
        return location, Base(folder, (model_id, location, str(folder), str(folder.resolve()), *recorded_names(folder)))

    def _from_hub(self, source: str, wanted: Wanted, known: Sequence[ModelVersion]) -> ModelVersion:
        if not _ON_HUB.fullmatch(source):
            raise ModelError("There is no such folder, and it is no name of the hub (ORG/NAME) or of a server (remote:NAME).")
        found = self._found(source)
        if (found.folder / ADAPTER_CONFIG).is_file():
            return self._keep(found.folder, wanted.name or source.partition("/")[2], wanted, known)
        if wanted.name:
            raise ModelError("A model of the hub keeps its name: leave --name out.")
        files = inspect(found.folder, linked=self._is_package(found.folder), watch=wanted.watch)
        _check_whole(found.folder, wanted)
        # A converted file depends on the versions of the libraries here. Its own record is checked, and its id is of what it was made of.
        files = files if found.sha256 is None else ()
        return ModelVersion(found.version, wanted.kind, source, files=files, licence=wanted.licence, created_by=wanted.actor).cleaned()

    def _found(self, location: str) -> weights.Weights:
        return weights.resolve(location, self._model_dir, self._report)

    def _is_package(self, folder: Path) -> bool:
        return not folder.resolve().is_relative_to(self._model_dir.resolve())

    def _verify_by_name(self, name: str) -> None:
        """Check a base, of which only the place is known: its name ends in the digits of its content."""
        there = digests(self._shelf.folder(name), passed_over=())
        files = [ModelFile(file, 0, sha256) for file, sha256 in sorted(there.items()) if file != MANIFEST]
        if name.rpartition("@")[2] not in {_digits(kind, "", files) for kind in Kind}:
            raise ModelError(
                f"Its base {name!r} was changed after the import: its content is not what its name says. Import the base again."
            )

    def _verify_elsewhere(self, version: ModelVersion) -> None:
        found = self._found(version.location)
        if found.version != version.model_id:
            raise ModelError(f"{version.location!r} is {found.version!r} on this machine now. Import it again, or delete {found.folder}.")
        found.verify()
        there = digests(found.folder, linked=self._is_package(found.folder))
        for file in version.files:
            if there.get(file.name) != file.sha256:
                raise ModelError(f"{file.name!r} in {found.folder} was changed after the import. Delete the folder; it is fetched again.")


def _existing(source: str) -> Path | None:
    """Return what lies at a path that somebody typed."""
    try:
        path = Path(source).expanduser()
        return path if source and (path.is_symlink() or path.exists()) else None
    except (RuntimeError, ValueError):  # the home of nobody; a NUL
        return None


def _check_whole(folder: Path, wanted: Wanted) -> None:
    if wanted.base:
        raise ModelError(f"It is a whole model, no adapter (there is no {ADAPTER_CONFIG!r}): leave --base out.")
    if wanted.kind is Kind.CLASSIFIER:
        return
    if not (folder / CONFIG).is_file():
        raise ModelError(f"It has neither {CONFIG!r} nor {ADAPTER_CONFIG!r}: it is no model of transformers.")
    if not isinstance(settings(folder, CONFIG).get("model_type"), str):
        raise ModelError(f"{CONFIG!r} names no 'model_type'.")


def _on_server(source: str, wanted: Wanted) -> ModelVersion:
    name = source.removeprefix(REMOTE)
    if not _ON_SERVER.fullmatch(name) or ".." in name:
        raise ModelError("After remote: comes the name of a model on your server, such as remote:Qwen/Qwen3-4B.")
    if wanted.kind is not Kind.GENERATOR or wanted.base or wanted.name:
        raise ModelError("A model on a server is a generator and keeps its name: leave --kind, --base and --name out.")
    return ModelVersion(source, wanted.kind, source, licence=wanted.licence, created_by=wanted.actor).cleaned()


def _digits(kind: Kind, base: str, files: Sequence[ModelFile]) -> str:
    said = "\n".join([kind.value, base, *(f"{file.sha256} {file.name}" for file in files)])
    return hashlib.sha256(said.encode()).hexdigest()[:_DIGITS]
