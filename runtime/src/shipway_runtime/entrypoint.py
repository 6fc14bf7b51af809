"""The entry point: `module:name`, or `module:name()` for a factory.

In: the entry point's text; sys.path as it is. Out: the object, or the factory to call on the main loop: a
function, async or not, or one that @asynccontextmanager decorates, for an agent that has something to close.
Errors: EntrypointError with the user's own traceback, from their first frame down; ours is cut.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import StartError

if TYPE_CHECKING:
    from types import TracebackType


class EntrypointError(StartError):
    """The entry point could not be used. `cause` is the user's exception, if one was raised."""

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Entrypoint:
    """What was imported: the agent itself, or what makes it."""

    text: str
    target: Any
    factory: bool

    async def agent(self, stack: contextlib.AsyncExitStack) -> Any:
        """The agent; a factory is called, awaited if need be, and entered if it is a context manager.

        What was entered is left when `stack` is, in the task that closes it, which must be this one.
        """
        if not self.factory:
            return self.target
        try:
            made = self.target()
            made = await made if inspect.isawaitable(made) else made
            if isinstance(made, contextlib.AsyncContextDecorator):  # from @asynccontextmanager
                return await stack.enter_async_context(made)  # type: ignore[arg-type]
            return made
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's code raises
            raise EntrypointError(f"the entry point {self.text} could not be made", theirs(error)) from None


def load(text: str) -> Entrypoint:
    """Import the module and find the name. Call it on the main thread: imports may set signal handlers."""
    module_name, _, name = text.removesuffix("()").partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's code raises
        if isinstance(error, ModuleNotFoundError) and error.name and _is_prefix(error.name, module_name):
            raise EntrypointError(_explain_missing(text, error.name)) from None
        raise EntrypointError(f"the entry point {text} could not be imported", theirs(error)) from None
    if not hasattr(module, name):
        there = sorted(n for n, value in vars(module).items() if callable(value) and not n.startswith("_"))
        raise EntrypointError(
            f'the entry point {text}: {module.__file__} has no "{name}"; '
            f"it has {', '.join(there) or 'nothing to call'}"
        )
    return Entrypoint(text, getattr(module, name), text.endswith("()"))


def _is_prefix(package: str, module: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def _explain_missing(text: str, missing: str) -> str:
    source = Path(sys.path[0])
    there = sorted({p.stem for p in source.glob("*") if p.suffix == ".py" or (p / "__init__.py").exists()})
    return (
        f'the entry point {text}: no module "{missing}" in {source}; there is {", ".join(there) or "nothing"}'
    )


def theirs(error: BaseException) -> BaseException:
    """The exception with its traceback from the first frame that is neither ours nor the importer's."""
    here = str(Path(__file__).parent)
    traceback: TracebackType | None = error.__traceback__
    while traceback and _is_ours(traceback.tb_frame.f_code.co_filename, here):
        traceback = traceback.tb_next
    return error.with_traceback(traceback)


def _is_ours(filename: str, here: str) -> bool:
    return filename.startswith((here, "<frozen importlib")) or filename == importlib.__file__
