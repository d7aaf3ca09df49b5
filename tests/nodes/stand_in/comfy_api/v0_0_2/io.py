"""Schemas: inputs, outputs and their JSON, with the signatures and defaults of ComfyUI 0.8.0."""

from dataclasses import dataclass, field
from enum import Enum

# Arguments whose name in the JSON is another one.
JSON_NAMES = {
    "raw_link": "rawLink",
    "force_input": "forceInput",
    "dynamic_prompts": "dynamicPrompts",
    "display_mode": "display",
}
# Arguments that are not part of an input's options in the JSON.
NOT_OPTIONS = {"self", "__class__", "id", "optional", "extra_dict"}


class Input:
    """An input without a widget."""

    io_type = ""

    def __init__(self, id, display_name=None, optional=False, tooltip=None, lazy=None, extra_dict=None, raw_link=None):
        self.keep(locals())

    def keep(self, arguments):
        """Remember the arguments of the constructor."""
        self.id = arguments["id"]
        self.optional = arguments["optional"]
        self.tooltip = arguments["tooltip"]
        given = {name: value for name, value in arguments.items() if name not in NOT_OPTIONS and value is not None}
        self.options = {JSON_NAMES.get(name, name): value for name, value in given.items()} | (
            arguments["extra_dict"] or {}
        )

    def as_dict(self):
        """The options part of its JSON."""
        return self.options


class Output:
    """An output."""

    io_type = ""

    def __init__(self, id=None, display_name=None, tooltip=None, is_output_list=False):
        self.id = id
        self.display_name = display_name or id
        self.tooltip = tooltip
        self.is_output_list = is_output_list


def Custom(io_type):  # noqa: N802
    """A link type without a widget."""
    return link_type(io_type, Input)


def link_type(io_type, input_class):
    """A type with its Input and Output."""
    return type(
        io_type,
        (),
        {
            "io_type": io_type,
            "Input": type("Input", (input_class,), {"io_type": io_type}),
            "Output": type("Output", (Output,), {"io_type": io_type}),
        },
    )


class BooleanInput(Input):
    """A switch."""

    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        label_on=None,
        label_off=None,
        socketless=None,
        force_input=None,
        extra_dict=None,
        raw_link=None,
    ):
        self.keep(locals())


class IntInput(Input):
    """A whole number."""

    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        min=None,
        max=None,
        step=None,
        control_after_generate=None,
        display_mode=None,
        socketless=None,
        force_input=None,
        extra_dict=None,
        raw_link=None,
    ):
        self.keep(locals())


class FloatInput(Input):
    """A number."""

    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        min=None,
        max=None,
        step=None,
        round=None,
        display_mode=None,
        socketless=None,
        force_input=None,
        extra_dict=None,
        raw_link=None,
    ):
        self.keep(locals())


class StringInput(Input):
    """A text."""

    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        multiline=False,
        placeholder=None,
        default=None,
        dynamic_prompts=None,
        socketless=None,
        force_input=None,
        extra_dict=None,
        raw_link=None,
    ):
        self.keep(locals())


class ComboInput(Input):
    """A choice from a list."""

    def __init__(
        self,
        id,
        options=None,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        control_after_generate=None,
        upload=None,
        image_folder=None,
        remote=None,
        socketless=None,
        extra_dict=None,
        raw_link=None,
    ):
        self.keep(locals())
        self.options["multiselect"] = False


Image = Custom("IMAGE")
Mask = Custom("MASK")
LossMap = Custom("LOSS_MAP")
Boolean = link_type("BOOLEAN", BooleanInput)
Int = link_type("INT", IntInput)
Float = link_type("FLOAT", FloatInput)
String = link_type("STRING", StringInput)
Combo = link_type("COMBO", ComboInput)


class DynamicCombo:
    """A choice whose options have their own inputs."""

    class Option:
        """One choice."""

        def __init__(self, key, inputs):
            self.key = key
            self.inputs = inputs

    class Input(Input):
        """Its input."""

        io_type = "COMFY_DYNAMICCOMBO_V3"

        def __init__(self, id, options, display_name=None, optional=False, tooltip=None, lazy=None, extra_dict=None):
            self.keep(locals())
            self.options["options"] = [{"key": option.key, "inputs": input_info(option.inputs)} for option in options]


def input_info(inputs):
    """The JSON of a list of inputs, required and optional separately."""
    info = {"required": {}}
    for item in inputs:
        info.setdefault("optional" if item.optional else "required", {})[item.id] = (item.io_type, item.as_dict())
    return info


class Hidden(Enum):
    """Hidden values that a node may request."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"


@dataclass
class HiddenHolder:
    """The hidden values."""

    unique_id: str = None


@dataclass
class Schema:
    """The description of a node."""

    node_id: str
    display_name: str = None
    category: str = "sd"
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    hidden: list = field(default_factory=list)
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_api_node: bool = False
    not_idempotent: bool = False
    enable_expand: bool = False


class NodeOutput:
    """The result of a node."""

    def __init__(self, *args, ui=None, expand=None, block_execution=None):
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    def __getitem__(self, index):
        return self.args[index]


class ComfyNode:
    """Base class of all nodes."""

    hidden = None

    @classmethod
    def define_schema(cls):
        """Overridden: the schema."""
        raise NotImplementedError

    @classmethod
    def execute(cls, **kwargs):
        """Overridden: the work."""
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls, **kwargs):
        """Optional override: True, or a sentence that says what is wrong."""
        raise NotImplementedError

    @classmethod
    def fingerprint_inputs(cls, **kwargs):
        """Optional override: the same value as last time means that nothing changed."""
        raise NotImplementedError

    @classmethod
    def GET_NODE_INFO_V1(cls):  # noqa: N802
        """The node's entry in /object_info."""
        schema = cls.define_schema()
        info = input_info(schema.inputs)
        hidden = list(schema.hidden)
        if schema.is_output_node:
            hidden += [item for item in (Hidden.prompt, Hidden.extra_pnginfo) if item not in hidden]
        if hidden:
            info["hidden"] = {item.name: (item.value,) for item in hidden}
        return {
            "input": info,
            "input_order": {kind: list(inputs) for kind, inputs in info.items()},
            "output": [output.io_type for output in schema.outputs],
            "output_is_list": [output.is_output_list for output in schema.outputs],
            "output_name": [output.display_name or output.io_type for output in schema.outputs],
            "output_tooltips": [output.tooltip or None for output in schema.outputs],
            "name": schema.node_id,
            "display_name": schema.display_name,
            "category": schema.category,
            "description": schema.description,
            "output_node": schema.is_output_node,
            "deprecated": schema.is_deprecated,
            "experimental": schema.is_experimental,
            "api_node": schema.is_api_node,
        }
