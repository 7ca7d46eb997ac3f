// The sample pictures, and what one might ask about each, in the languages that models speak.

export const SAMPLES = [
  {
    name: "beach",
    ideas: {
      answer: {
        english: ["How many objects are there?", "What is in the bottom left corner?", "Is there a boat?"],
        chinese: ["图中有几个物体？", "左下角是什么？", "图中有船吗？"],
      },
      ground: {
        english: ["the dog", "the object in the top left", "car to the left of the dog"],
        chinese: ["狗", "左上角的物体", "狗左边的汽车"],
      },
    },
  },
  {
    name: "stripes",
    ideas: {
      answer: {
        english: ["Where is the tree?", "Is there a penguin?", "How many objects are there?"],
        chinese: ["树在哪里？", "有没有企鹅？", "图中有几个物体？"],
      },
      ground: {
        english: ["the penguin", "the leftmost object", "tree to the right of the penguin"],
        chinese: ["企鹅", "最左边的物体", "企鹅右边的树"],
      },
    },
  },
  {
    name: "night",
    ideas: {
      answer: {
        english: ["How many bananas are there?", "Is the boat to the right of the house?", "Where is the boat?"],
        chinese: ["图中有几根香蕉？", "船在房子的右边吗？", "船在哪里？"],
      },
      ground: {
        english: ["the house", "the topmost banana", "banana to the right of the house"],
        chinese: ["房子", "最上面的香蕉", "房子右边的香蕉"],
      },
    },
  },
];

/** What might be asked about any picture. */
export const IDEAS = {
  answer: { english: ["How many objects are there?"], chinese: ["图中有几个物体？"] },
  ground: { english: ["the biggest object", "the leftmost object"], chinese: ["最大的物体", "最左边的物体"] },
  classify: { english: ["cat, dog, tree, house"], chinese: ["猫, 狗, 树, 房子"] },
  paint: { english: ["an apple on a yellow background.", "a dog next to a tree on a gray background."] },
  summarize: {
    english: [
      "the ferry between the two towns will stop for repairs until the end of june , its owner said on monday , and a " +
        "bus will take its passengers over the bridge instead .",
    ],
  },
  instruct: {
    english: ["what does the image describe?", "what are the objects in the image?"],
    chinese: ["图片描述了什么内容?"],
  },
};
