from collections.abc import Callable
from typing import Any

class UnpackException(Exception): ...

class Packer:
    def __init__(
        self,
        *,
        default: Callable[[Any], Any] | None = ...,
        strict_types: bool = ...,
        datetime: bool = ...,
        use_bin_type: bool = ...,
    ) -> None: ...
    def pack(self, obj: Any) -> bytes: ...
    def reset(self) -> None: ...

def unpackb(packed: bytes | memoryview, **kwargs: Any) -> Any: ...
