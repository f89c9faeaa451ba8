"""The named errors of the library: each says what is wrong, where, and what to do."""


class VosError(Exception):
    """Base of every error a user of the library can cause and mend."""


class MissingInputError(VosError):
    """A file, folder or data set that was named is not there."""


class ImageError(VosError):
    """An image cannot be decoded."""


class MaskError(VosError):
    """A mask cannot be read as object ids, or does not fit its frame."""


class VideoError(VosError):
    """A video is empty or cannot be decoded."""


class RecordError(VosError):
    """A prepared record is cut, corrupt or not of our schema."""


class AnnotationError(VosError):
    """An annotation file is not what its format promises."""


class CheckpointError(VosError):
    """A checkpoint is unreadable, unsafe, or belongs to another model."""


class ConfigError(VosError):
    """A setting is unknown or has a value that cannot work."""


class ResultsError(VosError):
    """Masks handed in for scoring are missing, of another size, or have too many objects."""


class CapacityError(VosError):
    """More objects or memory were asked for than the system can hold."""


class OutputError(VosError):
    """Results cannot be written where they should go."""


class DivergedError(VosError):
    """Training produced a loss that is not a finite number."""
