"""Formulas as people write them in a line of text: the LaTeX of the gates, turned into Unicode."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import EllipsisType
from typing import Any
from unicodedata import normalize

from ..gate import Gate

__all__ = ["formula", "literal", "partial", "plain", "varies"]

LOW = dict(zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
HIGH = dict(zip("0123456789+-=()nixTkmt", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣᵀᵏᵐᵗ", strict=True))
WORDS = {
    "sum": "Σ", "prod": "Π", "int": "∫", "infty": "∞", "ge": "≥", "le": "≤", "ne": "≠", "wedge": "∧", "vee": "∨",
    "neg": "¬", "pi": "π", "sigma": "σ", "delta": "δ", "mu": "μ", "Phi": "Φ", "phi": "φ", "alpha": "α", "beta": "β",
    "epsilon": "ε", "gamma": "γ", "lambda": "λ", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "dots": "…",
    "ldots": "…", "cdots": "…", "cdot": "·", "times": "×", "odot": "⊙", "ast": "∗", "sim": "~", "bmod": "mod",
    "bigwedge": "⋀", "bigvee": "⋁", "in": "∈", "to": "→", "star": "⋆", "pm": "±", "left": "", "right": "",
    "partial": "∂", "nabla": "∇", "eta": "η", "theta": "θ", "rho": "ρ", "tau": "τ", "omega": "ω", "Delta": "Δ",
    "Sigma": "Σ", "ell": "ℓ", "approx": "≈", "leq": "≤", "geq": "≥", "neq": "≠", "ll": "≪", "gg": "≫", "equiv": "≡",
    "leftarrow": "←", "rightarrow": "→", "Rightarrow": "⇒", "lVert": "‖", "rVert": "‖", "Vert": "‖", "lvert": "|",
    "rvert": "|", "langle": "⟨", "rangle": "⟩", "prime": "′", "top": "ᵀ", "circ": "∘", "qquad": " ", "mid": "|",
    ",": "", ";": " ", "quad": " ", "!": "", " ": " ", "{": "{", "}": "}", "|": "‖",
}
ACCENTS = {"hat": "\u0302", "tilde": "\u0303", "vec": "\u20d7", "dot": "\u0307"}
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[A-Za-z]|\d+(?:\.\d+)?|\s+|.")


def plain(latex: str, names: Mapping[str, str] | None = None) -> str:
    r"""Return a formula in plain text.

    Parameters
    ----------
    latex : str
        What the gates use of LaTeX: letters, sub- and superscripts, fractions, roots, the usual symbols.
    names : mapping of str to str, optional
        What to write for a single letter.

    Examples
    --------
    >>> from chainrule.view.notation import plain
    >>> plain(r"z = x\,y"), plain(r"z = \frac{1}{1 + e^{-x}}"), plain("z(1-z)", {"z": "out"})
    ('z = x·y', 'z = 1/(1 + e⁻ˣ)', 'out·(1-out)')
    """
    return _Reader(latex, names or {}).read()


class _Reader:
    """Reads LaTeX from left to right and writes text."""

    def __init__(self, latex: str, names: Mapping[str, str]) -> None:
        self.tokens, self.at, self.names = TOKEN.findall(latex), 0, names

    def read(self, stop: str = "") -> str:
        text, last = "", ""                            # `last`: what kind of thing was written before
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            self.at += 1
            if token == stop:
                break
            if token in "_^":
                text += _raised(self.argument(), LOW if token == "_" else HIGH, token)
            elif token.isspace():
                text += " "
            elif token == r"\,":
                text += "·" if last and self.ahead() else ""
                last = ""
            else:
                piece, kind = self.piece(token)
                spaced = text.endswith(" ")
                joined = last and kind and "named" in (last, kind) and not (spaced and last == "word")
                if joined and (piece != ")" and not (last == "word" or kind == "word")):
                    text = text.rstrip(" ") + "·"      # names of several letters cannot stand side by side
                text += piece
                last = {"(": "", ")": "atom"}.get(piece, kind if kind != "open" else "")
        text = re.sub(r"(?<=[⌊⌈¬∂∇⟨])\s+|\s+(?=[⌋⌉⟩])", "", text)
        return re.sub(r"\s+", " ", text).strip()

    def ahead(self) -> bool:
        """Whether something that can be multiplied comes next."""
        rest = [t for t in self.tokens[self.at:] if not t.isspace()]
        return bool(rest) and (rest[0].isalnum() or rest[0] in "([" or (rest[0][0] == "\\" and len(rest[0]) > 2))

    def piece(self, token: str) -> tuple[str, str]:
        """Write one token; its kind is atom, named (a name put in), word (a function), open, or "" (an operator)."""
        if token == "{":
            return self.read("}"), "atom"
        if token == "(":
            return "(", "open"
        if token == ")":
            return ")", ""
        if token.isdigit() or token[0].isdigit():
            return token, "atom"
        if token.isalpha():
            return (self.names[token], "named") if token in self.names else (token, "atom")
        if token[0] != "\\":
            return token, ""
        word = token[1:]
        if word in ("frac", "tfrac", "dfrac"):
            above, below = self.argument(), self.argument()
            return f"{_whole(above)}/{_whole(below)}", "atom"
        if word == "sqrt":
            return "√" + _whole(self.argument()), "atom"
        if word == "bar":
            inside = self.argument()
            return (inside + "\u0304" if len(inside) == 1 else f"mean({inside})"), "atom"
        if word in ACCENTS:
            return normalize("NFC", self.argument() + ACCENTS[word]), "atom"
        if word in ("text", "operatorname", "mathrm", "mathrel", "mathbf", "mathcal", "mathbb"):
            return self.literally(), "word"
        if word in WORDS:
            return WORDS[word], "" if not WORDS[word].isalpha() else "word"
        return word, "word"

    def argument(self) -> str:
        """Read what a command applies to: a group, or one token."""
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1
        if self.at == len(self.tokens):
            return ""
        token = self.tokens[self.at]
        self.at += 1
        if token.isdigit() and len(token) > 1:         # TeX takes one digit
            self.tokens.insert(self.at, token[1:])
            token = token[0]
        return self.piece(token)[0]

    def literally(self) -> str:
        """Read a group of words as they stand, or a single letter."""
        if "".join(self.tokens[self.at:]).lstrip()[:1] != "{":
            return self.argument()
        self.at += 1
        start = self.at
        while self.at < len(self.tokens) and self.tokens[self.at] != "}":
            self.at += 1
        self.at += 1
        return "".join(self.tokens[start:self.at - 1])


def _whole(text: str) -> str:
    """Put parentheses around what would fall apart next to a sign of operation."""
    return f"({text})" if re.search(r"[ +\-·/=]", text[1:]) else text


def _raised(text: str, letters: Mapping[str, str], sign: str) -> str:
    """Write an index or an exponent in small letters, where Unicode has them all."""
    known = re.fullmatch(r"(\d+) ?- ?(\d+)", text)
    if known and sign == "^":                          # a known exponent: n - 1 with n = 3
        text = str(int(known[1]) - int(known[2]))
    if sign == "^" and text == "1":
        return ""
    if re.fullmatch(r"\(-\d+\)", text):
        text = text[1:-1]
    small = text.replace(" ", "")
    if len(small) <= 6 and all(c in letters for c in small):
        return "".join(letters[c] for c in small)
    return sign + (text if re.fullmatch(r"\w+|\(.*\)", text) else f"({text})")


# ------------------------------------------------------------------ the formulas of gates
@lru_cache(4096)
def _letters(gate: Gate) -> dict[str, int]:
    """Say which letter of a gate's formula stands for which of its arguments: by name, by initial, then in order."""
    letters = list(dict.fromkeys(t for t in TOKEN.findall(gate.formula) if t.isalpha() and t.lower() != "z"))
    found: dict[str, int] = {}
    rest = dict(enumerate(gate.arguments))
    for initial in (False, True):
        for i, argument in list(rest.items()):
            wanted = argument[0] if initial else argument
            for letter in letters:
                if letter.lower() == wanted.lower() and letter not in found:
                    found[letter] = i
                    rest.pop(i, None)
    left = [letter for letter in letters if letter not in found and letter not in "deijkt"]
    if len(left) == len(rest):
        found.update(zip(left, rest, strict=True))
    return found


def _named(gate: Gate, result: str, operands: Sequence[str]) -> dict[str, str]:
    names = {letter: operands[i] for letter, i in _letters(gate).items() if i < len(operands)}
    return {"z": result, "Z": result} | names


def formula(gate: Gate, result: str, operands: Sequence[str], options: Mapping[str, Any] | None = None) -> str:
    """Return a gate's formula with the names of its result and operands put in.

    Parameters
    ----------
    gate : Gate
    result : str
    operands : sequence of str
    options : mapping, optional
        Shown where the formula is a call.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.view.notation import formula
    >>> formula(cr.GATES["multiply"], "q", ["a", "b"]), formula(cr.GATES["power"], "s", ["d", "2"])
    ('q = a·b', 's = d²')
    """
    if gate.name == "getitem":
        return f"{result} = {operands[0]}[{', '.join(operands[1:])}]"
    text, letters = gate.formula, _letters(gate)
    for letter, i in letters.items():
        if i >= len(operands):                         # an operand that was left out, such as a bias
            text = text.replace(f" + {letter}", "")
    left_out = "None" in operands or any(i >= len(operands) and letter in TOKEN.findall(text)
                                         for letter, i in letters.items())
    if left_out or not text or not set(range(len(operands))) <= set(letters.values()):
        return f"{result} = {gate.name}({', '.join([*operands, *(f'{k}={v}' for k, v in (options or {}).items())])})"
    return plain(text, _named(gate, result, operands))


def partial(gate: Gate, argument: int, result: str, operands: Sequence[str]) -> str:
    """Return the partial derivative of a gate by one argument, with names put in; empty if the gate does not say.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.view.notation import partial
    >>> partial(cr.GATES["sigmoid"], 0, "a", ["z"]), partial(cr.GATES["power"], 0, "s", ["d", "2"])
    ('a·(1-a)', '2·d')
    """
    partials = gate.partials
    text = partials[argument] if argument < len(partials) else partials[0] if len(partials) == 1 else ""
    return plain(text, _named(gate, result, operands)) if text else ""


def varies(gate: Gate, argument: int, nodes: Sequence[bool]) -> bool:
    """Say whether a partial derivative depends on the result or on an operand that is a node; True if unknown.

    Parameters
    ----------
    gate : Gate
    argument : int
    nodes : sequence of bool
        Which operands are nodes; the others are plain numbers.
    """
    partials = gate.partials
    text = partials[argument] if argument < len(partials) else partials[0] if len(partials) == 1 else ""
    if not text:
        return True
    letters = set(TOKEN.findall(re.sub(r"\\text\{.*?\}", "", text)))
    if letters & {"z", "Z"}:
        return True
    return any(i < len(nodes) and nodes[i] for letter, i in _letters(gate).items() if letter in letters)


def literal(operand: Any) -> str:
    """Return a constant operand as it is written in Python: a number, or a part of an index."""
    if isinstance(operand, slice):
        parts = ["" if part is None else str(part) for part in (operand.start, operand.stop, operand.step)]
        return ":".join(parts[:2] if operand.step is None else parts)
    if isinstance(operand, EllipsisType):
        return "…"
    text = str(operand)
    return f"({text})" if text.startswith("-") else text
