"""Elements of HTML. The serialiser escapes every text, so text from files cannot become markup."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, tostring


def element(tag: str, *children: Element | str, **attributes: str) -> Element:
    """An element with text and elements in it; `class_` gives the attribute `class`, and `aria_label` `aria-label`."""
    made = Element(tag, {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()})
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + child
        else:
            made.text = (made.text or "") + child
    return made


def section(name: str, title: str, *children: Element) -> Element:
    """A part of the page; `name` is its anchor."""
    return element("section", element("h2", title), *children, id=name, class_="part")


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str | Element]]) -> Element:
    """A table that scrolls in itself on a narrow screen; the first cell of each row is its heading."""
    head = element("tr", *(element("th", name, scope="col") for name in header))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest))
        for first, *rest in rows
    ]
    content = element("table", element("caption", caption), element("thead", head), element("tbody", *body))
    # A part that scrolls needs the focus to scroll by keyboard.
    return element("div", content, class_="scroll", tabindex="0", role="region", aria_label=caption)


def to_html(elements: Sequence[Element]) -> str:
    """The elements as HTML."""
    return "\n".join(tostring(each, encoding="unicode", method="html") for each in elements)
