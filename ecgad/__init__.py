"""ECG anomaly detection with autoencoders."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecgad.detection.detector import Detector

    __version__: str

__all__ = ["Detector", "__version__"]


def __getattr__(name: str) -> Any:
    # PyTorch takes seconds to import: whoever wants no detector does not wait for it.
    if name == "Detector":
        from ecgad.detection.detector import Detector

        return Detector
    if name == "__version__":
        from importlib.metadata import version

        return version("ecgad")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
