"""Settings name the variable that is wrong and never show a secret."""

import pickle
import traceback

import msgspec
import pytest

from aibridge_common.settings import InvalidSettings, Secret, load, parse_tokens

CANARY = "hunter2-canary"


class Example(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    token: Secret
    count: int = 3
    ratio: float = 0.5
    quiet: bool = False
    pepper: Secret | None = None


def example(**environ: str) -> Example:
    given = {"URL": "http://a", "TOKEN": CANARY} | environ
    return load(Example, {f"APP_{name}": value for name, value in given.items()}, "APP_")


class TestLoad:
    def test_defaults(self) -> None:
        found = example()

        assert (found.url, found.count, found.ratio, found.quiet) == ("http://a", 3, 0.5, False)
        assert found.token.reveal() == CANARY
        assert found.pepper is None

    def test_text_becomes_the_type(self) -> None:
        found = example(COUNT="7", RATIO="0.25", QUIET="true", PEPPER=CANARY)

        assert (found.count, found.ratio, found.quiet) == (7, 0.25, True)
        assert found.pepper == Secret(CANARY)

    def test_empty_is_unset(self) -> None:
        """Compose files pass variables on as empty text when they are not set."""
        assert example(COUNT="").count == 3

    def test_other_variables_are_not_read(self) -> None:
        found = load(
            Example, {"APP_URL": "u", "APP_TOKEN": "t", "COUNT": "9", "OTHER_COUNT": "9"}, "APP_"
        )

        assert found.count == 3

    @pytest.mark.parametrize("value", [None, ""])
    def test_missing(self, value: str | None) -> None:
        environ = {"APP_URL": "u"} | ({} if value is None else {"APP_TOKEN": value})
        with pytest.raises(InvalidSettings, match=r"^APP_TOKEN is not set$"):
            load(Example, environ, "APP_")

    @pytest.mark.parametrize(("name", "value"), [("COUNT", "many"), ("QUIET", "perhaps")])
    def test_does_not_fit(self, name: str, value: str) -> None:
        with pytest.raises(InvalidSettings, match=f"^APP_{name} does not fit: "):
            example(**{name: value})


class TestSecret:
    def test_is_never_printed(self) -> None:
        secret = Secret(CANARY)
        printed = [f"{secret}", f"{secret!r}", f"{[secret]}", f"{example()}", "%s" % secret]  # noqa: UP031

        assert not [text for text in printed if CANARY in text]

    def test_is_not_in_a_traceback(self) -> None:
        """The settings that hold it may be printed with an error, its value not."""
        text = "".join(traceback.format_exception(RuntimeError(example())))

        assert CANARY not in text

    def test_is_not_encoded(self) -> None:
        """An encoder that does not know it refuses instead of writing it down."""
        with pytest.raises(TypeError):
            msgspec.json.encode(Secret(CANARY))

    def test_has_no_dictionary(self) -> None:
        """Tools that print `vars()` find nothing."""
        assert not hasattr(Secret(CANARY), "__dict__")

    def test_equality(self) -> None:
        assert Secret("a") == Secret("a")
        assert Secret("a") != Secret("b")
        assert Secret("a") != "a"
        assert len({Secret("a"), Secret("a"), Secret("b")}) == 2

    def test_survives_a_copy(self) -> None:
        assert pickle.loads(pickle.dumps(Secret("a"))) == Secret("a")


class TestParseTokens:
    def test_pairs(self) -> None:
        tokens = parse_tokens(Secret("gateway=0123456789abcdef, router=fedcba9876543210"))

        assert tokens == {"0123456789abcdef": "gateway", "fedcba9876543210": "router"}

    def test_equals_sign_in_a_token(self) -> None:
        assert parse_tokens(Secret("a=0123456789abcde==")) == {"0123456789abcde==": "a"}

    @pytest.mark.parametrize(
        "text", ["", "gateway", "=0123456789abcdef", f"gateway={CANARY}", "a=0123456789abcdef,"]
    )
    def test_refused_without_showing_it(self, text: str) -> None:
        """No name, or a token short enough to guess."""
        with pytest.raises(InvalidSettings, match="name=token") as caught:
            parse_tokens(Secret(text))

        assert CANARY not in str(caught.value)
