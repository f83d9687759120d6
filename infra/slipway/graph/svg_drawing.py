"""Draws the diagram of a stack as SVG, with the layout of `diagram_layout.py`."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

from slipway.graph import diagram
from slipway.graph.diagram import (
    ALONGSIDE,
    EDGE,
    EVERY_TASK,
    LINK,
    POLICY,
    PRIVATE,
    RULE,
    USED_BY_TASKS,
    Arrow,
    Diagram,
    format_count,
)
from slipway.graph.diagram_layout import (
    BOX_WIDTH,
    GAP,
    LINE_HEIGHT,
    MARGIN,
    PADDING,
    VPC_FRAME,
    Layout,
    PlacedBox,
    Point,
    arrow_group,
    text_width,
    title_size,
    truncate_text,
)

# Of each region: its name, its frame's colour and its boxes'.
REGION_STYLES = {
    EDGE: ("Edge", "#f5f6f8", "#7b8794"),
    diagram.PUBLIC: ("Public", "#f0f6ec", "#6a9a55"),
    PRIVATE: ("Private", "#fcf4e8", "#cf8a3a"),
    diagram.ISOLATED: ("Isolated", "#ecf3fa", "#4f7fb5"),
    USED_BY_TASKS: ("Used by the tasks", "#f6f2f9", "#8b6bab"),
    ALONGSIDE: ("Alongside", "#f5f6f8", "#7b8794"),
}
ARROW_STYLES = {
    RULE: ("#2f6fad", "may connect to this port (security-group rule)"),
    POLICY: ("#8b6bab", "may use (IAM policy); from a ring's side: every task"),
    LINK: ("#7b8794", "attached to (dependency)"),
}
TEXT_COLOUR, MUTED_TEXT_COLOUR = "#1f2933", "#52606d"


def draw_svg(picture: Diagram) -> str:
    """Returns the diagram as SVG; equal diagrams give equal bytes."""
    layout = Layout(picture)
    size = {"width": layout.width, "height": layout.height}
    svg = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"})
    svg.attrib |= {"viewBox": f"0 0 {layout.width} {layout.height}", "aria-labelledby": "title desc"}
    svg.attrib |= {key: str(value) for key, value in size.items()}
    svg.attrib |= {"font-family": "Helvetica, Arial, 'Liberation Sans', sans-serif"}
    names = {box.key: box.title for box in picture.boxes} | {EVERY_TASK: EVERY_TASK.capitalize()}
    parts = ". ".join(f"{box.title}: {', '.join(box.facts)}" if box.facts else box.title for box in picture.boxes)
    arrows = ". ".join(_sentence(arrow, names) for arrow in picture.arrows)
    _add(svg, "title", f"Architecture of stack {picture.stack}", id="title")
    _add(svg, "desc", f"{parts}. {arrows}.", id="desc")
    # A background, because the page may be dark.
    _add(svg, "rect", x=1, y=1, width=layout.width - 2, height=layout.height - 2, rx=10, fill="#fff", stroke="#d5dae0")
    _text(svg, MARGIN, 38, f"Stack {picture.stack}", 20, bold=True)
    _draw_frames(svg, layout)
    _draw_arrows(svg, layout, names)
    for place in layout.places.values():
        _draw_box(svg, place)
    _draw_legend(svg, layout)
    ElementTree.indent(svg)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def _sentence(arrow: Arrow, names: dict[str, str]) -> str:
    verb = {RULE: f"may connect to port {arrow.label} of", POLICY: "may use", LINK: "is attached to"}[arrow.kind]
    return f"{names[arrow.source]} {verb} {names[arrow.target]}"


def _draw_frames(svg: ElementTree.Element, layout: Layout) -> None:
    if VPC_FRAME in layout.frames:
        x, y, width, height = layout.frames[VPC_FRAME]
        _add(svg, "rect", x=x, y=y, width=width, height=height, rx=8, fill="#fff", stroke="#8d99a6")
        _text(svg, x + PADDING, y + 22, "VPC", 13, bold=True)
        _text(svg, x + PADDING, y + 22 + LINE_HEIGHT, layout.picture.vpc, 12, colour=MUTED_TEXT_COLOUR)
    for region, (name, fill, stroke) in REGION_STYLES.items():
        if region in layout.frames:
            x, y, width, height = layout.frames[region]
            frame = _add(svg, "rect", x=x, y=y, width=width, height=height, rx=6, fill=fill, stroke=stroke)
            frame.set("stroke-opacity", "0.35")
            _text(svg, x + PADDING, y + 22, name, 13, bold=True)
            if region in layout.picture.subnets:
                _text(
                    svg,
                    x + PADDING,
                    y + 22 + LINE_HEIGHT,
                    format_count(layout.picture.subnets[region], "subnet"),
                    12,
                    colour=MUTED_TEXT_COLOUR,
                )


def _draw_arrows(svg: ElementTree.Element, layout: Layout, names: dict[str, str]) -> None:
    definitions = _add(svg, "defs")
    for kind, (colour, _) in ARROW_STYLES.items():
        marker = _add(definitions, "marker", id=kind, viewBox="0 0 8 8", refX=8, refY=4, orient="auto")
        marker.attrib |= {"markerWidth": "8", "markerHeight": "8", "markerUnits": "userSpaceOnUse"}
        _add(marker, "path", d="M0 0.5L8 4L0 7.5z", fill=colour)
    for key in layout.groups:
        _, kind, label = key
        arrows = [arrow for arrow in layout.picture.arrows if arrow_group(arrow) == key]
        ways = [layout.corners(arrow) for arrow in arrows]
        way = "".join("M" + "L".join(f"{x} {y}" for x, y in points) for points in ways)
        path = _add(svg, "path", d=way, fill="none", stroke=ARROW_STYLES[kind][0])
        path.attrib |= {"class": "arrow", "stroke-width": "1.5", "marker-end": f"url(#{kind})"}
        _add(path, "title", ". ".join(_sentence(arrow, names) for arrow in arrows))
        for x, y in _joints(ways):
            _add(svg, "circle", cx=x, cy=y, r=3, fill=ARROW_STYLES[kind][0])
        x, y = ways[0][-1]
        _text(svg, x + 5, y - 10, label, 11, colour=ARROW_STYLES[kind][0])


def _joints(ways: list[list[Point]]) -> list[Point]:
    """Returns the points where arrows of a group join; a dot distinguishes them from crossings."""
    pieces = {piece for way in ways for piece in pairwise(way)}
    joints = []
    for x, y in sorted({point for way in ways for point in way}):
        directions = set()
        for (x1, y1), (x2, y2) in pieces:
            if min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2):
                directions |= {((a > x) - (a < x), (b > y) - (b < y)) for a, b in ((x1, y1), (x2, y2))}
        if len(directions - {(0, 0)}) > 2:
            joints.append((x, y))
    return joints


def _draw_box(svg: ElementTree.Element, place: PlacedBox) -> None:
    colour = REGION_STYLES[place.box.region][2]
    box = _add(svg, "g")
    _add(box, "title", f"{place.box.title}: {', '.join(place.box.facts)}" if place.box.facts else place.box.title)
    outer = _add(
        box, "rect", x=place.x, y=place.y, width=BOX_WIDTH, height=place.height, rx=5, fill="#fff", stroke=colour
    )
    outer.set("class", "box")
    _add(box, "rect", x=place.x, y=place.y + 8, width=4, height=place.height - 16, fill=colour)
    size = title_size(place.box.title, BOX_WIDTH - 2 * PADDING)
    title = truncate_text(place.box.title, size, BOX_WIDTH - 2 * PADDING)
    _text(box, place.x + PADDING, place.y + 23, title, size, bold=True)
    for index, line in enumerate(place.lines, 1):
        _text(box, place.x + PADDING, place.y + 23 + LINE_HEIGHT * index, line, 13, colour=MUTED_TEXT_COLOUR)


def _draw_legend(svg: ElementTree.Element, layout: Layout) -> None:
    x, y = MARGIN, layout.height - LINE_HEIGHT
    for kind, (colour, meaning) in ARROW_STYLES.items():
        if any(arrow.kind == kind for arrow in layout.picture.arrows):
            line = _add(svg, "path", d=f"M{x} {y - 4}L{x + 30} {y - 4}", stroke=colour)
            line.attrib |= {"stroke-width": "1.5", "marker-end": f"url(#{kind})"}
            _text(svg, x + 38, y, meaning, 12, colour=MUTED_TEXT_COLOUR)
            x += 38 + int(text_width(meaning, 12)) + 2 * GAP


def _add(parent: ElementTree.Element, tag: str, text: str = "", **attributes: str | int) -> ElementTree.Element:
    made = ElementTree.SubElement(parent, tag, {key: str(value) for key, value in attributes.items()})
    made.text = text or None
    return made


def _text(
    parent: ElementTree.Element, x: int, y: int, text: str, size: int, *, bold: bool = False, colour: str = TEXT_COLOUR
) -> None:
    if text:
        made = _add(parent, "text", text, x=x, y=y, fill=colour)
        made.attrib |= {"font-size": str(size)} | ({"font-weight": "bold"} if bold else {})
