"""Whether pictures that are compared position by position fit: of one size, and not too small."""

Size = tuple[int, int]
"""Width and height in pixels."""


def misfit(title: str, metric: str, sample: Size, role: str, other: Size, minimum_side: int) -> str:
    """Why `metric` cannot compare the sample called `title` with the picture that plays `role`; empty where it can."""
    if sample != other:
        mend = "send the mask at that size" if role == "mask" else f"send the sample at its {role}'s size"
        return (
            f"{title} is {_said(sample)} pixels and its {role} {_said(other)}; "
            f"{metric} compares pictures of one size, so {mend}."
        )
    if min(sample) < minimum_side:
        return f"{title} is {_said(sample)} pixels; {metric} needs at least {minimum_side} on each side."
    return ""


def _said(size: Size) -> str:
    return f"{size[0]} × {size[1]}"
