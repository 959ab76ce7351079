"""One exception tree; every message says what failed, where, and what to do.

FrontdeskError
├── SettingsError        a setting is missing, unknown or out of range
├── KnowledgeError       knowledge cannot be read, published or served
│   └── SnapshotError    a published snapshot is missing, damaged or does not fit its embedder
├── ModelError           a model cannot be found, verified, converted or run
└── StorageError         the database is missing, too old or out of reach
"""


class FrontdeskError(Exception):
    """Base of every error that Frontdesk raises on purpose; `str(error)` is fit for an operator, not for a customer."""


class SettingsError(FrontdeskError):
    """A setting is missing, unknown or out of range."""


class KnowledgeError(FrontdeskError):
    """Knowledge cannot be read, published or served."""


class SnapshotError(KnowledgeError):
    """A published snapshot is missing, damaged or does not fit its embedder."""


class ModelError(FrontdeskError):
    """A model cannot be found, verified, converted or run."""


class StorageError(FrontdeskError):
    """The database is missing, too old or out of reach."""
