"""The questions whose answers train and test the draft head of chapter 11: forms and topics, some of each held out."""

FORMS = (
    "What is {}?",
    "Explain {} to a child.",
    "Write three sentences about {}.",
    "Give me five facts about {}.",
    "Why is {} important?",
    "Write a short story about {}.",
    "Write an email to a friend about {}.",
    "List the advantages and disadvantages of {}.",
    "How does {} work?",
    "Write a short poem about {}.",
    "What should a beginner know about {}?",
    "Summarize the history of {} in one paragraph.",
)
HELD_OUT_FORMS = ("Write a speech of one minute about {}.", "What are common mistakes with {}?")
TOPICS = (
    *("bread", "the moon", "a bicycle", "photosynthesis", "the internet", "chess", "gravity", "a lighthouse"),
    *("gardening", "the French Revolution", "vaccines", "money", "jazz", "volcanoes", "sleep", "a library"),
    *("democracy", "cats", "electricity", "the ocean", "baking a cake", "machine learning", "trains", "honey"),
    *("mountains", "football", "a computer", "friendship", "rain", "ancient Rome", "coffee", "the human heart"),
    *("painting", "recycling", "dinosaurs", "a hospital", "language", "the sun", "cooking rice", "robots"),
    *("a market", "swimming", "the brain", "paper", "winter", "airplanes", "teaching", "a river"),
    *("salt", "music theory", "the stock market", "forests"),
)
HELD_OUT_TOPICS = ("tea", "the telescope", "elections", "dogs", "bridges", "a museum", "earthquakes", "running")
CODE = (
    "Write a Python function that {}.",
    "Show me how to write a program in Python that {}.",
)
TASKS = (
    *("adds two numbers", "reverses a string", "finds the largest number in a list", "counts the words of a text"),
    *("checks whether a number is prime", "sorts a list", "reads a file line by line", "computes a factorial"),
    *("removes duplicates from a list", "converts Celsius to Fahrenheit", "finds all even numbers", "prints a table"),
)
HELD_OUT_TASKS = ("checks whether a word is a palindrome", "computes the average of a list")


def training_questions():
    """Every form with every topic, and the programs."""
    return [form.format(topic) for topic in TOPICS for form in FORMS] + [c.format(t) for t in TASKS for c in CODE]


def held_out_questions():
    """Topics, forms and programs that stand in no training question."""
    known = [FORMS[i % len(FORMS)].format(topic) for i, topic in enumerate(HELD_OUT_TOPICS)]
    new = [HELD_OUT_FORMS[i % 2].format(topic) for i, topic in enumerate(HELD_OUT_TOPICS)]
    return known + new + [code.format(task) for task in HELD_OUT_TASKS for code in CODE]
