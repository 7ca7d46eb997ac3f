"""Chinese wordings."""

from random import Random

from ofa.data.scenes.captions import CaptionContent, Group
from ofa.data.scenes.language import weighted
from ofa.data.scenes.meaning import Description, InCell, Named, Outermost, Sized, Toward
from ofa.data.scenes.questions import Count, Presence, Question, Related, Where, Which, simpler_cells
from ofa.data.scenes.relations import Direction

_NUMBERS = ("零", "一", "两", "三", "四", "五")
_TOWARD = {Direction.LEFT: "左边", Direction.RIGHT: "右边", Direction.ABOVE: "上面", Direction.BELOW: "下面"}
_OUTERMOST = {Direction.LEFT: "最左边", Direction.RIGHT: "最右边", Direction.ABOVE: "最上面", Direction.BELOW: "最下面"}
_CELLS = {
    (-1, -1): "左上角", (0, -1): "上方", (1, -1): "右上角",
    (-1, 0): "左边", (0, 0): "中间", (1, 0): "右边",
    (-1, 1): "左下角", (0, 1): "下方", (1, 1): "右下角",
}  # fmt: skip
_BACKGROUNDS = {
    "blue": "蓝色背景", "green": "绿色背景", "yellow": "黄色背景", "orange": "橙色背景",
    "pink": "粉色背景", "purple": "紫色背景", "gray": "灰色背景", "white": "白色背景",
    "striped": "条纹背景", "dotted": "圆点背景", "checkered": "格子背景",
    "meadow": "草地", "beach": "沙滩", "snow": "雪地", "desert": "沙漠", "sea": "海面", "night": "夜空下",
}  # fmt: skip


class Chinese:
    """See `Language`."""

    def caption(self, content: CaptionContent, rng: Random) -> str:
        parts = [self._group(group) for group in content.groups]
        where = "图中"
        if content.background is not None:
            name = _BACKGROUNDS[content.background]
            where = name if name.endswith("下") else name + "上"
        if content.cell is not None:
            where = "图片" + _CELLS[content.cell]
        if content.beside:
            return f"{where}，{parts[0]}在{parts[1]}旁边。"
        if content.direction is None:
            return f"{where}{weighted(rng, ('有', 4), ('是', 1))}{_join(parts)}。"
        return f"{where}，{parts[0]}在{_join(parts[1:])}的{_TOWARD[content.direction]}。"

    def words(self, sentence: str) -> int:
        return max(4, len(sentence) // 2)  # a Chinese word is about two characters long

    def expression(self, description: Description, rng: Random) -> str:
        noun = description.kind.chinese if description.kind else weighted(rng, ("物体", 3), ("东西", 1))
        match description.trait:
            case Named():
                return weighted(rng, (noun, 1), (f"那{description.kind.measure}{noun}", 1))
            case Outermost(direction):
                return f"{_OUTERMOST[direction]}的{noun}"
            case InCell(cell):
                return f"{_CELLS[cell]}的{noun}"
            case Sized(largest):
                return f"最{'大' if largest else '小'}的{noun}"
            case Toward(direction, anchor):
                return f"{anchor.kind.chinese}{_TOWARD[direction]}的{noun}"

    def question(self, question: Question, rng: Random) -> str:
        match question:
            case Presence(kind):
                return weighted(rng, (f"图中有{kind.chinese}吗？", 1), (f"有没有{kind.chinese}？", 1))
            case Related(kind, direction, anchor):
                return f"{kind.chinese}在{anchor.chinese}的{_TOWARD[direction]}吗？"
            case Count(kind):
                return f"图中有几{kind.measure}{kind.chinese}？" if kind else "图中有几个物体？"
            case Where(kind):
                return weighted(rng, (f"{kind.chinese}在哪里？", 1), (f"{kind.chinese}在什么位置？", 1))
            case Which(description):
                return self._which(description)

    def answer(self, question: Question) -> str:
        match question:
            case Presence(answer=yes):
                return "有" if yes else "没有"
            case Related(answer=yes):
                return "是" if yes else "不是"
            case Count(answer=count):
                return str(count)
            case Where(answer=cell):
                return _CELLS[cell]
            case Which(answer=kind):
                return kind.chinese

    def near_answers(self, question: Question) -> list[str]:
        match question:
            case Presence(answer=yes):
                return ["没有" if yes else "有"]
            case Related(answer=yes):
                return ["不是" if yes else "是"]
            case Count(answer=count):
                return [str(near) for near in (count - 1, count + 1) if near >= 0]
            case Where(answer=cell):
                return ["中央"] if cell == (0, 0) else [_CELLS[near] for near in simpler_cells(cell)]
            case Which(answer=kind):
                return ["一" + kind.measure + kind.chinese]

    def _group(self, group: Group) -> str:
        size = "" if group.big is None else ("大" if group.big else "小")
        return f"{_NUMBERS[group.count]}{group.kind.measure}{size}{group.kind.chinese}"

    def _which(self, description: Description) -> str:
        match description.trait:
            case Toward(direction, anchor):
                return f"{anchor.kind.chinese}{_TOWARD[direction]}的是什么？"
            case InCell(cell):
                return f"{_CELLS[cell]}是什么？"
            case Sized(largest):
                return f"最{'大' if largest else '小'}的是什么？"
            case Named() | Outermost():
                raise ValueError(f"no question is asked with {description.trait}")


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{'、'.join(parts[:-1])}和{parts[-1]}"
