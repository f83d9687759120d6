"""Computes the layout of a stack's diagram: fixed regions, boxes in rows, arrows in lanes between the rows.

Every gap between two rows has lanes, and so has the channel next to the network; an arrow runs in these and never
through a box. Arrows that end in the same place for the same reason share their lanes and one arrowhead.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from slipway.graph.diagram import ALONGSIDE, EDGE, EVERY_TASK, PRIVATE, RINGS, USED_BY_TASKS, Arrow, Box, Diagram

# Pixels.
MARGIN, PADDING, GAP, LANE_SPACING, LINE_HEIGHT, TOP_MARGIN = 20, 12, 16, 12, 17, 52
ROW_HEADROOM = 30
"""Space above a row of boxes for the last segment of an arrow and its label."""
REGION_LABEL_WIDTH = 74
TITLE_SIZES = (15, 14, 13, 12)
BOLD_WIDTH = 1.2
"""Bold letters to those of `text_width`: of DejaVu Sans, which browsers take where there is no Helvetica or Arial."""
"""Space at the left of a region for its name, without arrows."""
BOX_WIDTH, COLUMNS = 184, dict.fromkeys((EDGE, *RINGS), 4) | {ALONGSIDE: 5}
NETWORK_WIDTH = 4 * PADDING + REGION_LABEL_WIDTH + COLUMNS[PRIVATE] * (BOX_WIDTH + GAP) - GAP
VPC_FRAME = "vpc"

ArrowGroup = tuple[str, str, str]
"""Target, kind and label: arrows with the same ones share lanes."""
Point = tuple[int, int]


@dataclass
class PlacedBox:
    """A positioned box. `row` counts from the top; None: next to the rows."""

    box: Box
    row: int | None
    x: int
    lines: list[str]
    y: int = 0
    height: int = 0


def _place(box: Box, row: int | None, x: int) -> PlacedBox:
    lines = _wrapped(box.facts, BOX_WIDTH - 2 * PADDING)
    return PlacedBox(box, row, x, lines, height=36 + LINE_HEIGHT * len(lines))


def arrow_group(arrow: Arrow) -> ArrowGroup:
    """Returns the key by which arrows share lanes."""
    return arrow.target, arrow.kind, arrow.label


class Layout:
    """Positions of all elements: first the rows of boxes, then the lanes, then the heights."""

    def __init__(self, picture: Diagram) -> None:
        self.picture = picture
        self.groups = list(dict.fromkeys(arrow_group(arrow) for arrow in picture.arrows))
        self.frames: dict[str, tuple[int, int, int, int]] = {}
        self.rows: list[list[PlacedBox]] = []
        for region in (EDGE, *RINGS, ALONGSIDE):
            self._add_rows(region)
        every = {arrow.target for arrow in picture.arrows if arrow.source == EVERY_TASK}
        used = [box for box in picture.boxes if box.region == USED_BY_TASKS]
        # Boxes that all tasks use are lowest, because their arrows start lowest.
        self.beside = [_place(box, None, 0) for box in sorted(used, key=lambda box: (box.key in every, box.title))]
        self.places = {place.box.key: place for row in [*self.rows, self.beside] for place in row}
        lanes = len({arrow_group(arrow) for arrow in picture.arrows if not self.is_straight(arrow)})
        across = MARGIN + NETWORK_WIDTH + 2 * GAP + LANE_SPACING * max(lanes - 1, 0)
        self.width = across + BOX_WIDTH + 2 * PADDING + MARGIN
        # Keeps the channel free below the network too: rows there continue on its other side.
        for place in [*self.beside, *(place for row in self.rows for place in row[COLUMNS[PRIVATE] :])]:
            place.x = across + PADDING
        self.lanes: dict[tuple[int, ArrowGroup], int] = {}
        self.height = self._stand()
        self.ports = self._ports()
        self.channel = self._channel()

    def _add_rows(self, region: str) -> None:
        boxes = [box for box in self.picture.boxes if box.region == region]
        columns = COLUMNS[region]
        for first in range(0, len(boxes), columns):
            row = boxes[first : first + columns]
            left = MARGIN + 2 * PADDING + REGION_LABEL_WIDTH
            left += 0 if region == ALONGSIDE else (columns - len(row)) * (BOX_WIDTH + GAP) // 2
            self.rows.append([_place(b, len(self.rows), left + i * (BOX_WIDTH + GAP)) for i, b in enumerate(row)])

    def gaps(self, arrow: Arrow) -> tuple[int | None, int | None]:
        """Returns the gaps at its start and end, as the rows below them; None for a box's or ring's side."""
        start = self.places[arrow.source].row if arrow.source in self.places else None
        end = self.places[arrow.target].row
        return (start + 1 if start is not None and end is not None and end > start else start), end

    def is_straight(self, arrow: Arrow) -> bool:
        """Whether it crosses only one gap."""
        start, end = self.gaps(arrow)
        return start is not None and start == end

    def _stand(self) -> int:
        """Sets the heights of boxes, lanes and frames; returns the diagram's."""
        y = TOP_MARGIN
        top: dict[str, int] = {}
        for number, row in enumerate(self.rows):
            region = row[0].box.region
            y += GAP
            for key in self._order_of_lanes(number):
                self.lanes[number, key] = y
                y += LANE_SPACING
            if region in RINGS and VPC_FRAME not in top:
                top[VPC_FRAME] = y
                y += 2 * LINE_HEIGHT + PADDING
            top.setdefault(region, y)
            y += ROW_HEADROOM
            tallest = max(place.height for place in row)
            for place in row:
                place.y, place.height = y, tallest
            y += tallest
            create_from_values = self.rows[number + 1][0].box.region if number + 1 < len(self.rows) else ""
            if create_from_values == region:
                continue
            y += PADDING
            inset = PADDING if region in RINGS else 0
            width = self.width - 2 * MARGIN if region == ALONGSIDE else NETWORK_WIDTH - 2 * inset
            self.frames[region] = (MARGIN + inset, top[region], width, y - top[region])
            if region in RINGS and create_from_values not in RINGS:
                y += PADDING
                self.frames[VPC_FRAME] = (MARGIN, top[VPC_FRAME], NETWORK_WIDTH, y - top[VPC_FRAME])
                y = max(y, self._stand_beside(top[VPC_FRAME], y))
        return y + 3 * LINE_HEIGHT

    def _stand_beside(self, top: int, bottom: int) -> int:
        if not self.beside:
            return bottom
        content = sum(place.height + GAP for place in self.beside) - GAP
        bottom = max(bottom, top + ROW_HEADROOM + content + PADDING)
        self.frames[USED_BY_TASKS] = (self.beside[0].x - PADDING, top, BOX_WIDTH + 2 * PADDING, bottom - top)
        y = top + ROW_HEADROOM + (bottom - top - ROW_HEADROOM - PADDING - content) // 2
        for place in self.beside:
            place.y = y
            y += place.height + GAP
        return bottom

    def _order_of_lanes(self, gap: int) -> list[ArrowGroup]:
        """Sorts arrows from above before those from below, so that they do not cross."""
        order = list(self.places)
        from_below: dict[ArrowGroup, bool] = {}
        for arrow in self.picture.arrows:
            if gap in (gaps := self.gaps(arrow)):
                source = self.places.get(arrow.source)
                below = gaps[0] == gap and source is not None and source.row == gap
                from_below[arrow_group(arrow)] = from_below.get(arrow_group(arrow), False) or below
        return sorted(from_below, key=lambda key: (from_below[key], order.index(key[0]), self.groups.index(key)))

    def _ports(self) -> dict[tuple[str, str, bool, ArrowGroup], Point]:
        """Where each group leaves or arrives at the side of a box, in the order of where it comes from or goes to."""
        ends: dict[tuple[str, str], dict[tuple[bool, ArrowGroup], list[int]]] = defaultdict(lambda: defaultdict(list))
        for arrow in self.picture.arrows:
            source, target, key = self.places.get(arrow.source), self.places[arrow.target], arrow_group(arrow)
            start, end = self.gaps(arrow)
            leave = "right" if source is None else "left" if start is None else "top" if start == source.row else "down"
            near = source is not None and self.is_straight(arrow)
            # Far to the right is the channel; a side's ports are in the order of heights.
            ends[arrow.source, leave][False, key].append(target.x if near else self.width + target.y)
            from_x = source.x if source is not None and near else self.width
            ends[arrow.target, "left" if end is None else "top"][True, key].append(from_x)
        found: dict[tuple[str, str, bool, ArrowGroup], Point] = {}
        # What runs on which line: upright in each gap, and level (under -1). Two groups would look like one arrow.
        taken: dict[int, list[tuple[int, ArrowGroup]]] = defaultdict(list)
        taken[-1] = [(y, key) for (_, key), y in self.lanes.items()]
        for (box, side), groups in ends.items():
            x, y, width, height = self._rectangle(box)
            level = side in ("left", "right")
            line = -1 if level else (self.places[box].row or 0) + (side == "down")
            start, length = (y, height) if level else (x, width)
            order = sorted(groups, key=lambda end: (sum(groups[end]) / len(groups[end]), self.groups.index(end[1])))
            # Keeps distance between the labels of neighbouring ports.
            room = [1 + (arrives and bool(key[2]) and len(order) > 3) for arrives, key in order]
            for index, (arrives, key) in enumerate(order):
                wanted = start + length * (1 + sum(room[:index])) // (1 + sum(room))
                others = [at for at, other in taken[line] if other != key]
                nearest = sorted(
                    range(start + PADDING, start + length - PADDING), key=lambda at: (abs(at - wanted), at)
                )
                free = (at for at in nearest if all(abs(at - other) >= LANE_SPACING // 2 + 2 for other in others))
                along = next(free, wanted)
                taken[line].append((along, key))
                found[box, side, arrives, key] = (
                    (x + width * (side == "right"), along) if level else (along, y + height * (side == "down"))
                )
        return found

    def _rectangle(self, box: str) -> tuple[int, int, int, int]:
        if box not in self.places:
            return self.frames[PRIVATE]
        place = self.places[box]
        return place.x, place.y, BOX_WIDTH, place.height

    def _leaves(self, arrow: Arrow) -> Point:
        """Returns the start of an arrow, on the side of the box that faces its target."""
        ends = ((arrow.source, side, False, arrow_group(arrow)) for side in ("right", "left", "top", "down"))
        return next(self.ports[end] for end in ends if end in self.ports)

    def _arrives(self, arrow: Arrow) -> Point:
        side = "left" if self.gaps(arrow)[1] is None else "top"
        return self.ports[arrow.target, side, True, arrow_group(arrow)]

    def _channel(self) -> dict[ArrowGroup, int]:
        """Returns the lanes next to the network: of two downward ones the upper is right, of two upward ones left."""
        ways: dict[ArrowGroup, tuple[bool, int]] = {}
        for arrow in self.picture.arrows:
            if not self.is_straight(arrow):
                key = arrow_group(arrow)
                start, end = self.gaps(arrow)
                begin = self._leaves(arrow)[1] if start is None else self.lanes[start, key]
                finish = self._arrives(arrow)[1] if end is None else self.lanes[end, key]
                ways[key] = (finish > begin, -begin if finish > begin else begin)
        order = sorted(ways, key=lambda key: (ways[key], self.groups.index(key)))
        return {key: MARGIN + NETWORK_WIDTH + GAP + LANE_SPACING * index for index, key in enumerate(order)}

    def corners(self, arrow: Arrow) -> list[Point]:
        """Returns the corner points of an arrow."""
        key = arrow_group(arrow)
        start, end = self.gaps(arrow)
        points, last = [self._leaves(arrow)], self._arrives(arrow)
        if start is not None:
            points.append((points[0][0], self.lanes[start, key]))
        if not self.is_straight(arrow):
            points.append((self.channel[key], points[-1][1]))
            points.append((self.channel[key], last[1] if end is None else self.lanes[end, key]))
        if end is not None:
            points.append((last[0], self.lanes[end, key]))
        return [*points, last]


def text_width(text: str, size: int) -> float:
    """Estimates a text's width, generously, because the font is unknown."""
    wide = {True: 0.92, False: 0.57}
    return size * sum(0.32 if c in "fijltI.,:;'|!()[] -/" else 0.7 if c.isupper() else wide[c in "mw@%"] for c in text)


def title_size(title: str, width: int) -> int:
    """Returns the largest font size at which a bold title fits into `width`, also in a wide font."""
    return next((size for size in TITLE_SIZES if BOLD_WIDTH * text_width(title, size) <= width), TITLE_SIZES[-1])


def truncate_text(text: str, size: int, width: int) -> str:
    if text_width(text, size) <= width:
        return text
    while text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def _wrapped(facts: tuple[str, ...], width: int) -> list[str]:
    """Wraps the facts into lines of at most `width`."""
    lines: list[str] = []
    for fact in facts:
        if lines and text_width(f"{lines[-1]}, {fact}", 13) <= width:
            lines[-1] += f", {fact}"
        else:
            lines.append(truncate_text(fact, 13, width))
    return lines
