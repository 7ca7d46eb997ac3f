// The words of the page. English is the fallback of every language.

const TEXTS = {
  en: {
    name: "English",
    tagline: "shows what it sees",
    api: "API",
    theme: "Light or dark",
    picture: "Picture",
    questions: "Questions and answers",
    operations: "What to do",
    open: "Open a picture",
    orDrop: "or drop it, or paste it",
    dropHere: "Drop the picture",
    samples: "Sample pictures",
    quiet: "Answers appear here.",
    privacy: "Your picture goes to this service alone and is not kept.",
    artwork: "Sample pictures:",
    keys: "Keys: 1–9 choose, / type, Enter go, Esc clear.",
    model: "The model",
    close: "Close",
    version: "Version",
    source: "Source",
    loaded: "Loaded",
    speaks: "Language",
    english: "English",
    chinese: "Chinese",
    comma: ", ",
    report: "Report of this version",
    registered: "In the registry",
    documentation: "API documentation",
    task: "Task",
    measure: "Measure",
    score: "Score",
    interval: "95 % interval",
    noScores: "No evaluation came with this model.",
    keyTitle: "Key",
    keyAbout: "This service answers only with its key.",
    keyUse: "Use it",
    keyWrong: "That was not the key.",
    locked: "needs its key",
    loading: "loading the model …",
    unreachable: "no connection",
    sure: (percent) => `${percent} % sure`,
    others: "Other answers",
    notThere: "Not found in this picture",
    nothing: "No objects found",
    corners: (box) => `left ${box.x0}, top ${box.y0}, right ${box.x1}, bottom ${box.y1}`,
    cannotOpen: (name) => `${name} is not a picture that this browser can open. JPEG, PNG and WebP always work.`,
    tooLarge: "This picture is too large for the service.",
    offline: "The service does not answer. Is it still running?",
    busy: "The service is busy. Try again in a moment.",
    late: "The answer took too long. Try again later.",
    needText: "Type something first.",
    pasted: "pasted picture",
    show: (text) => `Show on the picture: ${text}`,
    caption: { tab: "Describe", about: "What is in the picture, in one sentence.", go: "Describe" },
    answer: { tab: "Ask", about: "A question about the picture.", go: "Ask", hint: "How many bananas are there?" },
    ground: { tab: "Find", about: "Say what to look for; the picture shows where it is.", go: "Find", hint: "the dog on the right" },
    classify: { tab: "Classify", about: "The one word for what it shows; name the choices, or leave it to the model.", go: "Classify", hint: "cat, dog, tree" },
    detect: { tab: "Objects", about: "Everything that the model knows, with its place.", go: "List objects" },
    region: { tab: "Point", about: "Click two corners on the picture to ask what is there. By keyboard: arrows and Enter.", go: "Point" },
    paint: { tab: "Paint", about: "Say what to paint; then ask about the painting as about any picture.", go: "Paint", hint: "an apple on a yellow background" },
    summarize: { tab: "Summarize", about: "A headline for a text.", go: "Summarize", hint: "Paste a text" },
    instruct: { tab: "Instruct", about: "Say what to do, in a phrase that the model was trained with.", go: "Go", hint: "what does the image describe?" },
    withPicture: "with the picture",
    seed: "Seed",
    anySeed: "another each time",
    reuse: "Use this seed again: it paints the same picture",
    save: "Save",
    nothingSaid: "Nothing was said",
  },
  zh: {
    name: "中文",
    tagline: "看图说话",
    api: "接口",
    theme: "浅色或深色",
    picture: "图片",
    questions: "提问与回答",
    operations: "任务",
    open: "打开图片",
    orDrop: "或拖放、粘贴",
    dropHere: "松手放入图片",
    samples: "示例图片",
    quiet: "结果会显示在这里。",
    privacy: "图片只发送到本服务，不会保存。",
    artwork: "示例图片：",
    keys: "快捷键：1–9 选择任务，/ 输入，Enter 执行，Esc 清除。",
    model: "模型",
    close: "关闭",
    version: "版本",
    source: "来源",
    loaded: "加载时间",
    speaks: "语言",
    english: "英语",
    chinese: "中文",
    comma: "、",
    report: "此版本的报告",
    registered: "模型库",
    documentation: "接口文档",
    task: "任务",
    measure: "指标",
    score: "分数",
    interval: "95 % 区间",
    noScores: "此模型没有附带评测结果。",
    keyTitle: "密钥",
    keyAbout: "使用本服务需要密钥。",
    keyUse: "使用",
    keyWrong: "密钥不正确。",
    locked: "需要密钥",
    loading: "正在加载模型……",
    unreachable: "无法连接",
    sure: (percent) => `把握 ${percent} %`,
    others: "其他答案",
    notThere: "图中没有找到",
    nothing: "没有找到物体",
    corners: (box) => `左 ${box.x0}，上 ${box.y0}，右 ${box.x1}，下 ${box.y1}`,
    cannotOpen: (name) => `浏览器无法打开 ${name}。JPEG、PNG 和 WebP 图片都可以使用。`,
    tooLarge: "图片太大，服务无法接收。",
    offline: "服务没有响应，它还在运行吗？",
    busy: "服务正忙，请稍后再试。",
    late: "回答用时过长，请稍后再试。",
    needText: "请先输入内容。",
    pasted: "粘贴的图片",
    show: (text) => `在图上显示：${text}`,
    caption: { tab: "描述", about: "用一句话描述图片。", go: "描述图片" },
    answer: { tab: "提问", about: "就图片提一个问题。", go: "提问", hint: "图中有几根香蕉？" },
    ground: { tab: "寻找", about: "说出要找什么，图上会标出它的位置。", go: "寻找", hint: "右边的狗" },
    classify: { tab: "分类", about: "用一个词说出图中是什么；可以列出选项，也可以不写。", go: "分类", hint: "猫, 狗, 树" },
    detect: { tab: "物体", about: "列出模型认识的所有物体及其位置。", go: "列出物体" },
    region: { tab: "指认", about: "在图上点两个角，问那里是什么。用键盘：方向键和 Enter。", go: "指认" },
    paint: { tab: "作画", about: "说要画什么，画好后可以像其他图片一样提问。", go: "作画", hint: "an apple on a yellow background" },
    summarize: { tab: "摘要", about: "为一段文字写一个标题。", go: "写摘要", hint: "在此粘贴文字" },
    instruct: { tab: "指令", about: "用训练时的说法告诉模型做什么。", go: "执行", hint: "图片描述了什么内容?" },
    withPicture: "连同图片",
    seed: "种子",
    anySeed: "每次不同",
    reuse: "再用这个种子：画出同一幅画",
    save: "保存",
    nothingSaid: "没有回答",
  },
};

export const LANGUAGES = Object.keys(TEXTS);

let current = LANGUAGES.includes(localStorage.getItem("language"))
  ? localStorage.getItem("language")
  : navigator.language.startsWith("zh") ? "zh" : "en";

export function language() {
  return current;
}

export function setLanguage(name) {
  current = name;
  localStorage.setItem("language", name);
}

/** The text with this name; `of` looks into another language. */
export function text(name, of = current) {
  return TEXTS[of][name] ?? TEXTS.en[name];
}

/** The words for an operation; one that this page has no words for is shown by its name. */
export function operationTexts(operation) {
  return text(operation.name.replace(/_zh$/, "")) ?? { tab: operation.name, about: operation.summary, go: operation.name };
}

/** Put the current language into the elements that ask for it. */
export function translate() {
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text(element.dataset.label));
    if (element.matches("button")) element.title = text(element.dataset.label);
  }
}
