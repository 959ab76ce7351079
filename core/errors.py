"""One exception tree; every message says what failed, where, and what to do.

FrontdeskError
├── SettingsError        a setting is missing, unknown or out of range
├── KnowledgeError       knowledge cannot be read, published or served
│   └── SnapshotError    a published snapshot is missing, damaged or does not fit its embedder
├── ModelError           a model cannot be found, verified, converted or run
├── TrainingError        a model cannot be trained, or was not trained to the end
├── StorageError         the database is missing, too old or out of reach
│   └── OutOfReachError  it does not answer, and may yet
├── VaultError           a secret cannot be sealed or opened
├── NotAllowedError      somebody may not do this; its text is for them
├── LeaseLostError       somebody else has taken over; what was done under the lease must be thrown away
└── DeliveryError        a platform did not take a message
    ├── RefusedError     and never will: the channel is gone, the bot was removed
    ├── RateLimitedError and says when to come back
    └── UncertainError   or perhaps it did: the connection broke before it answered
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


class TrainingError(FrontdeskError):
    """A model cannot be trained, or was not trained to the end."""


class NothingLearntError(TrainingError):
    """There was too little to learn from, or what was learnt is no better than what was known."""


class StorageError(FrontdeskError):
    """The database is missing, too old or out of reach."""


class OutOfReachError(StorageError):
    """The database does not answer; it may when it has started."""


class VaultError(FrontdeskError):
    """A secret cannot be sealed or opened."""


class NotAllowedError(FrontdeskError):
    """Somebody may not do this; the text is fit to be shown to them."""


class LeaseLostError(FrontdeskError):
    """Somebody else has taken over; what was done under the lease must be thrown away."""


class DeliveryError(FrontdeskError):
    """A platform did not take a message; it may be tried again."""


class RefusedError(DeliveryError):
    """A platform will never take this message: the channel is gone, the bot was removed."""


class RateLimitedError(DeliveryError):
    """A platform takes no more messages for `seconds`; `partly`: it has taken some messages of this reply, so look for them."""

    def __init__(self, message: str, seconds: float, *, partly: bool = False) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.partly = partly


class UncertainError(DeliveryError):
    """The connection broke before the platform answered: the message may have arrived, so look before sending again."""
