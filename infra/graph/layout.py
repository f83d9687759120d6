"""Where everything stands in the picture of a stack: fixed regions, boxes in rows, arrows in lanes between the rows.

Every gap between two rows has lanes, and so has the channel beside the network; an arrow runs in these and never
through a box. Arrows that end in the same place for the same reason share their lanes and one arrowhead.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from infra.graph.diagram import AROUND, EDGE, EVERY_TASK, PRIVATE, RINGS, USED, Arrow, Box, Picture

# Pixels.
MARGIN, PAD, GAP, LANE, LINE, TOP = 20, 12, 16, 12, 17, 52
HEAD = 30
"""Above a row of boxes: the last piece of an arrow, with its label."""
STRIP = 74
"""At the left of a region: its name, where no arrow comes."""
BOX, COLUMNS = 184, dict.fromkeys((EDGE, *RINGS), 4) | {AROUND: 5}
NETWORK = 4 * PAD + STRIP + COLUMNS[PRIVATE] * (BOX + GAP) - GAP
VPC = "vpc"

Group = tuple[str, str, str]
"""Target, kind and label: what arrows share their lanes by."""
Point = tuple[int, int]


@dataclass
class Place:
    """A box on the sheet. `row` counts from the top; None is beside the rows."""

    box: Box
    row: int | None
    x: int
    lines: list[str]
    y: int = 0
    height: int = 0


def _place(box: Box, row: int | None, x: int) -> Place:
    lines = _wrapped(box.facts, BOX - 2 * PAD)
    return Place(box, row, x, lines, height=36 + LINE * len(lines))


def group(arrow: Arrow) -> Group:
    """What the arrow shares its lanes by."""
    return arrow.target, arrow.kind, arrow.label


class Layout:
    """Where everything is: first who stands in which row, then which lanes that takes, then the heights."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.groups = list(dict.fromkeys(group(arrow) for arrow in picture.arrows))
        self.frames: dict[str, tuple[int, int, int, int]] = {}
        self.rows: list[list[Place]] = []
        for region in (EDGE, *RINGS, AROUND):
            self._add_rows(region)
        every = {arrow.target for arrow in picture.arrows if arrow.source == EVERY_TASK}
        used = [box for box in picture.boxes if box.region == USED]
        # What all tasks use stands lowest: its arrows start lowest.
        self.beside = [_place(box, None, 0) for box in sorted(used, key=lambda box: (box.key in every, box.title))]
        self.places = {place.box.key: place for row in [*self.rows, self.beside] for place in row}
        lanes = len({group(arrow) for arrow in picture.arrows if not self.straight(arrow)})
        across = MARGIN + NETWORK + 2 * GAP + LANE * max(lanes - 1, 0)
        self.width = across + BOX + 2 * PAD + MARGIN
        # The channel stays free below the network as well: a row around it goes on beyond.
        for place in [*self.beside, *(place for row in self.rows for place in row[COLUMNS[PRIVATE] :])]:
            place.x = across + PAD
        self.lanes: dict[tuple[int, Group], int] = {}
        self.height = self._stand()
        self.ports = self._ports()
        self.channel = self._channel()

    def _add_rows(self, region: str) -> None:
        boxes = [box for box in self.picture.boxes if box.region == region]
        columns = COLUMNS[region]
        for first in range(0, len(boxes), columns):
            row = boxes[first : first + columns]
            left = MARGIN + 2 * PAD + STRIP
            left += 0 if region == AROUND else (columns - len(row)) * (BOX + GAP) // 2
            self.rows.append([_place(b, len(self.rows), left + i * (BOX + GAP)) for i, b in enumerate(row)])

    def gaps(self, arrow: Arrow) -> tuple[int | None, int | None]:
        """The gaps that it leaves into and arrives from, as the rows below them; None for a box's or ring's side."""
        start = self.places[arrow.source].row if arrow.source in self.places else None
        end = self.places[arrow.target].row
        return (start + 1 if start is not None and end is not None and end > start else start), end

    def straight(self, arrow: Arrow) -> bool:
        """Whether one gap is all the way."""
        start, end = self.gaps(arrow)
        return start is not None and start == end

    def _stand(self) -> int:
        """Give boxes, lanes and frames their heights; returns the sheet's."""
        y = TOP
        top: dict[str, int] = {}
        for number, row in enumerate(self.rows):
            region = row[0].box.region
            y += GAP
            for key in self._order_of_lanes(number):
                self.lanes[number, key] = y
                y += LANE
            if region in RINGS and VPC not in top:
                top[VPC] = y
                y += 2 * LINE + PAD
            top.setdefault(region, y)
            y += HEAD
            tallest = max(place.height for place in row)
            for place in row:
                place.y, place.height = y, tallest
            y += tallest
            following = self.rows[number + 1][0].box.region if number + 1 < len(self.rows) else ""
            if following == region:
                continue
            y += PAD
            inset = PAD if region in RINGS else 0
            width = self.width - 2 * MARGIN if region == AROUND else NETWORK - 2 * inset
            self.frames[region] = (MARGIN + inset, top[region], width, y - top[region])
            if region in RINGS and following not in RINGS:
                y += PAD
                self.frames[VPC] = (MARGIN, top[VPC], NETWORK, y - top[VPC])
                y = max(y, self._stand_beside(top[VPC], y))
        return y + 3 * LINE

    def _stand_beside(self, top: int, bottom: int) -> int:
        if not self.beside:
            return bottom
        content = sum(place.height + GAP for place in self.beside) - GAP
        bottom = max(bottom, top + HEAD + content + PAD)
        self.frames[USED] = (self.beside[0].x - PAD, top, BOX + 2 * PAD, bottom - top)
        y = top + HEAD + (bottom - top - HEAD - PAD - content) // 2
        for place in self.beside:
            place.y = y
            y += place.height + GAP
        return bottom

    def _order_of_lanes(self, gap: int) -> list[Group]:
        """What comes from above runs above what comes from below, so that the two do not cross."""
        order = list(self.places)
        from_below: dict[Group, bool] = {}
        for arrow in self.picture.arrows:
            if gap in (gaps := self.gaps(arrow)):
                source = self.places.get(arrow.source)
                below = gaps[0] == gap and source is not None and source.row == gap
                from_below[group(arrow)] = from_below.get(group(arrow), False) or below
        return sorted(from_below, key=lambda key: (from_below[key], order.index(key[0]), self.groups.index(key)))

    def _ports(self) -> dict[tuple[str, str, bool, Group], Point]:
        """Where each group leaves or arrives at the side of a box, in the order of where it comes from or goes to."""
        ends: dict[tuple[str, str], dict[tuple[bool, Group], list[int]]] = defaultdict(lambda: defaultdict(list))
        for arrow in self.picture.arrows:
            source, target, key = self.places.get(arrow.source), self.places[arrow.target], group(arrow)
            start, end = self.gaps(arrow)
            leave = "right" if source is None else "left" if start is None else "top" if start == source.row else "down"
            near = source is not None and self.straight(arrow)
            # Far to the right is the channel; a side's ports are in the order of heights.
            ends[arrow.source, leave][False, key].append(target.x if near else self.width + target.y)
            from_x = source.x if source is not None and near else self.width
            ends[arrow.target, "left" if end is None else "top"][True, key].append(from_x)
        found: dict[tuple[str, str, bool, Group], Point] = {}
        # What runs on which line: upright in each gap, and level (under -1). Two groups would look like one arrow.
        taken: dict[int, list[tuple[int, Group]]] = defaultdict(list)
        taken[-1] = [(y, key) for (_, key), y in self.lanes.items()]
        for (box, side), groups in ends.items():
            x, y, width, height = self._rectangle(box)
            level = side in ("left", "right")
            line = -1 if level else (self.places[box].row or 0) + (side == "down")
            start, length = (y, height) if level else (x, width)
            order = sorted(groups, key=lambda end: (sum(groups[end]) / len(groups[end]), self.groups.index(end[1])))
            # Close together, a port's label takes the next port's place.
            room = [1 + (arrives and bool(key[2]) and len(order) > 3) for arrives, key in order]
            for index, (arrives, key) in enumerate(order):
                wanted = start + length * (1 + sum(room[:index])) // (1 + sum(room))
                others = [at for at, other in taken[line] if other != key]
                nearest = sorted(range(start + PAD, start + length - PAD), key=lambda at: (abs(at - wanted), at))
                free = (at for at in nearest if all(abs(at - other) >= LANE // 2 + 2 for other in others))
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
        return place.x, place.y, BOX, place.height

    def _leaves(self, arrow: Arrow) -> Point:
        """A group leaves a box on one side only: where its target is."""
        ends = ((arrow.source, side, False, group(arrow)) for side in ("right", "left", "top", "down"))
        return next(self.ports[end] for end in ends if end in self.ports)

    def _arrives(self, arrow: Arrow) -> Point:
        side = "left" if self.gaps(arrow)[1] is None else "top"
        return self.ports[arrow.target, side, True, group(arrow)]

    def _channel(self) -> dict[Group, int]:
        """The lanes beside the network: of two that go down the upper is the right one, of two that go up the left."""
        ways: dict[Group, tuple[bool, int]] = {}
        for arrow in self.picture.arrows:
            if not self.straight(arrow):
                key = group(arrow)
                start, end = self.gaps(arrow)
                begin = self._leaves(arrow)[1] if start is None else self.lanes[start, key]
                finish = self._arrives(arrow)[1] if end is None else self.lanes[end, key]
                ways[key] = (finish > begin, -begin if finish > begin else begin)
        order = sorted(ways, key=lambda key: (ways[key], self.groups.index(key)))
        return {key: MARGIN + NETWORK + GAP + LANE * index for index, key in enumerate(order)}

    def corners(self, arrow: Arrow) -> list[Point]:
        """The points that an arrow goes through."""
        key = group(arrow)
        start, end = self.gaps(arrow)
        points, last = [self._leaves(arrow)], self._arrives(arrow)
        if start is not None:
            points.append((points[0][0], self.lanes[start, key]))
        if not self.straight(arrow):
            points.append((self.channel[key], points[-1][1]))
            points.append((self.channel[key], last[1] if end is None else self.lanes[end, key]))
        if end is not None:
            points.append((last[0], self.lanes[end, key]))
        return [*points, last]


def text_width(text: str, size: int) -> float:
    """About how wide a text is, rather too much: whose font it will be is not known here."""
    wide = {True: 0.92, False: 0.57}
    return size * sum(0.32 if c in "fijltI.,:;'|!()[] -/" else 0.7 if c.isupper() else wide[c in "mw@%"] for c in text)


def cut(text: str, size: int, width: int) -> str:
    if text_width(text, size) <= width:
        return text
    while text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def _wrapped(facts: tuple[str, ...], width: int) -> list[str]:
    """The facts in lines, each as full as it can be."""
    lines: list[str] = []
    for fact in facts:
        if lines and text_width(f"{lines[-1]}, {fact}", 13) <= width:
            lines[-1] += f", {fact}"
        else:
            lines.append(cut(fact, 13, width))
    return lines
