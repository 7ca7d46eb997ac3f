"""The kinds of objects that a scene may show: which OpenMoji picture, and what people call it.

Names are those of the `emoji` package, in English and in Chinese, shortened where its name says more than a person
would ("deciduous tree" is a tree). `check_names` holds every entry against the package.
"""

from dataclasses import dataclass

from ofa.errors import OFAError


@dataclass(frozen=True)
class Kind:
    """One kind of object."""

    name: str
    """English noun in the singular, as it stands in captions and in COCO's `categories`."""
    code: str
    """Code point of the emoji in hexadecimal: the name of its picture in OpenMoji."""
    group: str
    """What it is a sort of: COCO's `supercategory`."""
    chinese: str
    """Chinese noun."""
    measure: str
    """Chinese measure word, between a number and the noun."""
    other_name: str = ""
    """Another word that a person may answer with; empty for none."""
    plural: str = ""
    """English plural where it is irregular; empty for a regular one."""

    @property
    def many(self) -> str:
        """English noun in the plural."""
        if self.plural:
            return self.plural
        if self.name.endswith(("s", "x", "ch", "sh", "tomato")):
            return self.name + "es"
        if self.name.endswith("y") and self.name[-2] not in "aeiou":
            return self.name[:-1] + "ies"
        return self.name + "s"

    @property
    def one(self) -> str:
        """English noun with its indefinite article."""
        return ("an " if self.name[0] in "aeiou" else "a ") + self.name


# The first sixteen differ most in shape and color: enough for a small network. The others follow for larger data sets.
KINDS = (
    Kind("apple", "1F34E", "fruit", "苹果", "个"),
    Kind("cat", "1F408", "animal", "猫", "只", other_name="kitty"),
    Kind("car", "1F697", "vehicle", "汽车", "辆", other_name="automobile"),
    Kind("tree", "1F333", "plant", "树", "棵"),
    Kind("banana", "1F34C", "fruit", "香蕉", "根"),
    Kind("dog", "1F415", "animal", "狗", "只", other_name="puppy"),
    Kind("bicycle", "1F6B2", "vehicle", "自行车", "辆", other_name="bike"),
    Kind("house", "1F3E0", "building", "房子", "座"),
    Kind("elephant", "1F418", "animal", "大象", "头"),
    Kind("umbrella", "2602", "thing", "伞", "把"),
    Kind("fish", "1F41F", "animal", "鱼", "条", plural="fish"),
    Kind("star", "2B50", "shape", "星星", "颗"),
    Kind("penguin", "1F427", "animal", "企鹅", "只"),
    Kind("chair", "1FA91", "furniture", "椅子", "把"),
    Kind("boat", "26F5", "vehicle", "帆船", "艘", other_name="sailboat"),
    Kind("butterfly", "1F98B", "animal", "蝴蝶", "只"),
    Kind("guitar", "1F3B8", "instrument", "吉他", "把"),
    Kind("sunflower", "1F33B", "plant", "向日葵", "朵", other_name="flower"),
    Kind("giraffe", "1F992", "animal", "长颈鹿", "只"),
    Kind("bus", "1F68C", "vehicle", "公交车", "辆"),
    Kind("strawberry", "1F353", "fruit", "草莓", "颗"),
    Kind("turtle", "1F422", "animal", "龟", "只"),
    Kind("rocket", "1F680", "vehicle", "火箭", "枚"),
    Kind("balloon", "1F388", "toy", "气球", "个"),
    Kind("crown", "1F451", "thing", "皇冠", "顶"),
    Kind("pig", "1F416", "animal", "猪", "头"),
    Kind("carrot", "1F955", "vegetable", "胡萝卜", "根"),
    Kind("castle", "1F3F0", "building", "城堡", "座"),
    Kind("rabbit", "1F407", "animal", "兔子", "只", other_name="bunny"),
    Kind("key", "1F511", "tool", "钥匙", "把"),
    Kind("mushroom", "1F344", "vegetable", "蘑菇", "朵"),
    Kind("helicopter", "1F681", "vehicle", "直升机", "架"),
    Kind("panda", "1F43C", "animal", "熊猫", "只"),
    Kind("cactus", "1F335", "plant", "仙人掌", "棵"),
    Kind("drum", "1F941", "instrument", "鼓", "面"),
    Kind("horse", "1F40E", "animal", "马", "匹"),
    Kind("pineapple", "1F34D", "fruit", "菠萝", "个"),
    Kind("bed", "1F6CF", "furniture", "床", "张"),
    Kind("octopus", "1F419", "animal", "章鱼", "只"),
    Kind("tractor", "1F69C", "vehicle", "拖拉机", "辆"),
    Kind("doughnut", "1F369", "food", "甜甜圈", "个", other_name="donut"),
    Kind("bell", "1F514", "thing", "铃铛", "个"),
    Kind("rooster", "1F413", "animal", "公鸡", "只", other_name="chicken"),
    Kind("kite", "1FA81", "toy", "风筝", "只"),
    Kind("watermelon", "1F349", "fruit", "西瓜", "块"),
    Kind("whale", "1F433", "animal", "鲸", "头"),
    Kind("camera", "1F4F7", "thing", "相机", "台"),
    Kind("rose", "1F339", "plant", "玫瑰", "朵", other_name="flower"),
    Kind("motorcycle", "1F3CD", "vehicle", "摩托车", "辆", other_name="motorbike"),
    Kind("flamingo", "1F9A9", "animal", "火烈鸟", "只", other_name="bird"),
    Kind("pizza", "1F355", "food", "披萨", "块"),
    Kind("snowman", "26C4", "toy", "雪人", "个", plural="snowmen"),
    Kind("hammer", "1F528", "tool", "锤子", "把"),
    Kind("frog", "1F438", "animal", "青蛙", "只"),
    Kind("teapot", "1FAD6", "thing", "茶壶", "个"),
    Kind("robot", "1F916", "toy", "机器人", "个"),
    Kind("monkey", "1F412", "animal", "猴子", "只"),
    Kind("lemon", "1F34B", "fruit", "柠檬", "个"),
    Kind("backpack", "1F392", "thing", "书包", "个", other_name="bag"),
    Kind("door", "1F6AA", "furniture", "门", "扇"),
    Kind("duck", "1F986", "animal", "鸭子", "只", other_name="bird"),
    Kind("airplane", "2708", "vehicle", "飞机", "架", other_name="plane"),
    Kind("broccoli", "1F966", "vegetable", "西兰花", "棵", plural="broccoli"),
    Kind("trumpet", "1F3BA", "instrument", "小号", "把"),
    Kind("fox", "1F98A", "animal", "狐狸", "只"),
    Kind("candle", "1F56F", "thing", "蜡烛", "根"),
    Kind("crab", "1F980", "animal", "蟹", "只"),
    Kind("church", "26EA", "building", "教堂", "座"),
    Kind("hamburger", "1F354", "food", "汉堡", "个", other_name="burger"),
    Kind("owl", "1F989", "animal", "猫头鹰", "只", other_name="bird"),
    Kind("trophy", "1F3C6", "thing", "奖杯", "个", other_name="cup"),
    Kind("snail", "1F40C", "animal", "蜗牛", "只"),
    Kind("eggplant", "1F346", "vegetable", "茄子", "个"),
    Kind("violin", "1F3BB", "instrument", "小提琴", "把"),
    Kind("camel", "1F42A", "animal", "骆驼", "头"),
    Kind("gift", "1F381", "thing", "礼物", "个", other_name="present"),
    Kind("shark", "1F988", "animal", "鲨鱼", "条"),
    Kind("tent", "26FA", "thing", "帐篷", "顶"),
    Kind("lion", "1F981", "animal", "狮子", "头"),
    Kind("ladder", "1FA9C", "tool", "梯子", "架"),
)


def check_names(kinds: tuple[Kind, ...] = KINDS) -> None:
    """Check that `emoji` knows each kind by these names.

    The English name must be the whole words of one of the package's names for the code point, the Chinese one a part
    of its Chinese name.

    Raises:
        OFAError: names the first kind that the package calls otherwise.
    """
    import emoji

    emoji.config.load_language("zh")
    for kind in kinds:
        character = chr(int(kind.code, 16))
        entry = emoji.EMOJI_DATA.get(character) or emoji.EMOJI_DATA.get(character + "\ufe0f")
        if entry is None:
            raise OFAError(f"Kind '{kind.name}': the emoji package has no entry for code point {kind.code}")
        english = [name.strip(":").lower() for name in (entry["en"], *entry.get("alias", ()))]
        if not any(kind.name == name or kind.name in name.split("_") for name in english):
            raise OFAError(f"Kind '{kind.name}': the emoji package calls {kind.code} {', '.join(english)}")
        if kind.chinese not in entry["zh"]:
            raise OFAError(f"Kind '{kind.name}': the emoji package calls {kind.code} {entry['zh']}, not {kind.chinese}")
