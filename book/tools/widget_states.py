"""The widgets that a notebook stores: which of them a view reaches, and under what names.

A state is what stands under metadata.widgets[STATE]["state"]: model id -> its class, its traits and
its buffers. One model names another as "IPY_MODEL_<id>", anywhere among its traits.
"""

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
REFERENCE = "IPY_MODEL_"


def stored_state(notebook) -> dict:
    """The models of a notebook; empty where it has none."""
    return notebook["metadata"].get("widgets", {}).get(STATE, {}).get("state", {})


def outputs_with_view(notebook) -> list[tuple[dict, dict]]:
    """(cell, output) wherever a widget is shown."""
    return [
        (cell, output)
        for cell in notebook["cells"]
        for output in cell.get("outputs", ())
        if VIEW in output.get("data", {})
    ]


def references(value) -> list[str]:
    """The ids that a trait names, in their order."""
    if isinstance(value, str):
        return [value.removeprefix(REFERENCE)] if value.startswith(REFERENCE) else []
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [name for part in value for name in references(part)]


def reachable(state: dict, shown: list[str]) -> dict:
    """The models that those shown reach, themselves included, as far as they are stored."""
    found, waiting = {}, list(shown)
    while waiting:
        name = waiting.pop(0)
        if name in state and name not in found:
            found[name] = state[name]
            waiting += references(state[name].get("state", {}))
    return found


def renamed(value, names: dict[str, str]):
    """A copy of a state's part with other ids, in keys and in references."""
    if isinstance(value, str):
        name = value.removeprefix(REFERENCE)
        return REFERENCE + names[name] if value.startswith(REFERENCE) and name in names else value
    if isinstance(value, dict):
        return {key: renamed(part, names) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [renamed(part, names) for part in value]
    return value


def renamed_state(state: dict, names: dict[str, str]) -> dict:
    """The state with other ids."""
    return {names.get(name, name): renamed(model, names) for name, model in state.items()}
