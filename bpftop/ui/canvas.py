"""The one widget: lines of spans on Textual's line API, only changed rows sent to the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import NULL_REGION, Region
from textual.strip import Strip
from textual.widget import Widget

from bpftop.ui.cells import cell_len
from bpftop.ui.direct import Cells, DirectTerminal, Pen, cells
from bpftop.ui.inks import ink_of
from bpftop.ui.keys import NamedKeys
from bpftop.ui.paint import EMPTY, Line, Role, differing, fit
from bpftop.ui.safe import safe


class Canvas(NamedKeys, Widget):
    """Draws what ``lines`` returns. Subclasses set their state and call ``redraw``; a hidden one does nothing."""

    ALLOW_SELECT = False
    ascii = False
    """Draw with ASCII only; set once for all by the app."""
    glyphs = False
    """Shades are glyphs: there are no colours, or only the 16 of the terminal; set for all by the app."""

    DEFAULT_CSS = "Canvas { color: $foreground; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._drawn: list[Line] = []
        self._drawn_width = 0
        self._styles: dict[tuple[Role, Role], Style] = {}
        self._pen: Pen | None = None
        self._placed: dict[int, tuple[Line, Cells | None]] = {}
        """The rows that were sent last, cell by cell."""
        self._region: tuple[object, Region] = (None, NULL_REGION)
        """Of a layout of the screen, where the content is."""
        self._coming: tuple[int, int] | None = None
        """The size that it will have when it is shown."""

    def lines(self, width: int, height: int) -> list[Line]:
        """What to show in an area of this size: at most ``height`` lines."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw again; only rows that differ are sent."""
        attached = self.is_attached
        left, top, width, height = self._on_screen() if attached else NULL_REGION
        if not width or not height:
            self._drawn = []
            if self._coming is not None and attached:
                self._drawn_width = self._coming[0]
                self._drawn = self._fitted(*self._coming, [])
                self._styles_cache.clear()
            return
        self._coming = None
        before = self._drawn
        rows = self._drawn = self._fitted(width, height, before)
        if len(before) != height or self._drawn_width != width:
            self._drawn_width = width
            self.refresh()
            return
        changed = [(y, old, new) for y, (old, new) in enumerate(zip(before, rows, strict=True)) if old is not new]
        if changed and not self._send(changed, left, top, width):
            parts = ((y, *part) for y, old, new in changed for part in differing(old, new, width))
            self.refresh(*(Region(start, y, end - start, 1) for y, start, end in parts))

    def _fitted(self, width: int, height: int, before: Sequence[Line]) -> list[Line]:
        """The lines in this size; one that is as it was ``before`` is the same object."""
        rows = self.lines(width, height)[:height]
        rows += [EMPTY] * (height - len(rows))
        for y, (old, new) in enumerate(zip_longest(before[:height], rows)):
            if old != new and new.cells > width:
                new = rows[y] = fit(new, width)
            if old == new:
                rows[y] = old
        return rows

    def _on_screen(self) -> Region:
        """Where it is on the screen; asked for once in each layout."""
        laid_out = self.screen._compositor._visible_widgets
        of, region = self._region
        if laid_out is None or of is not laid_out or self not in laid_out:
            region = self.content_region
            self._region = laid_out, region
        return region

    def expect(self, width: int, height: int) -> None:
        """It is about to be shown in this size: what it draws until then is what is seen first, not a blank."""
        self._coming = (width, height) if width > 0 and height > 0 and not self.size.area else None

    def _send(self, changed: list[tuple[int, Line, Line]], left: int, top: int, width: int) -> bool:
        """Write the cells that differ past Textual; False when that cannot be (see ``bpftop.ui.direct``)."""
        terminal: DirectTerminal | None = getattr(self.app, "direct", lambda _: None)(self.screen)
        if terminal is None or self._layout_required or self._repaint_required:
            return False
        if self not in self.screen._compositor.visible_widgets:  # it comes to the front, but another is still shown
            return False
        if self._pen is None:
            self._pen = Pen(self._style, terminal.colors)
        rows = []
        for y, old, new in changed:
            known = self._placed.get(y)
            was = known[1] if known is not None and known[0] is old else cells(old, width, self._clean)
            now = cells(new, width, self._clean)
            self._placed[y] = new, now
            if was is None or now is None:
                return False
            rows.append((left, top + y, was, now))
        terminal.send(self._pen.rows(rows))
        self._styles_cache.clear()  # Textual keeps what it has drawn: it is to ask again
        return True

    def on_resize(self, event: events.Resize) -> None:
        """A new size is a new drawing."""
        self.redraw()

    def render_line(self, y: int) -> Strip:
        """One row for Textual."""
        width = self.size.width
        if y >= len(self._drawn):
            return Strip.blank(width, self._style("", ""))
        row = self._drawn[y]
        segments = [
            Segment(self._clean(span.text), self._style(span.fill or row.fill, span.role))
            for span in row.spans
            if span.text
        ]
        return Strip(segments).adjust_cell_length(width, self._style(row.fill, ""))

    def _clean(self, text: str) -> str:
        """The last gate: whatever a pane forgot to make safe."""
        if not text.isprintable():
            text = safe(text, cell_len(text))
        return text

    def notify_style_update(self) -> None:
        """Another theme, other colours."""
        self._styles.clear()
        self._pen = None
        super().notify_style_update()

    def _style(self, fill: Role, role: Role) -> Style:
        """The colours of a role on the ground of its row; shades of a theme colour are mixed with that ground."""
        style = self._styles.get((fill, role))
        if style is None:
            ground, ink = self.background_colors[1], self.styles.color
            text_style = Style.null()
            for each in (fill, role):
                if each:
                    rules = self.screen.get_component_styles(ink_of(each))
                    ground = ground + rules.background if rules.has_rule("background") else ground
                    # In a reversed row another ink would become another ground.
                    if rules.has_rule("color") and not text_style.reverse:
                        ink = rules.color
                    text_style = text_style + rules.text_style
            style = Style.from_color((ground + ink).rich_color, ground.rich_color) + text_style
            self._styles[fill, role] = style
        return style
