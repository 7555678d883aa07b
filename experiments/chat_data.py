"""What `experiments/chat.py` asks: facts about a user, questions, rules, and an order."""

from __future__ import annotations

from typing import NamedTuple


class Fact(NamedTuple):
    """What the user tells, how it is asked for, and the word that a right answer has."""

    told: str
    asked: str
    key: str


FACTS = tuple(
    Fact(*(part.strip() for part in line.split("|")))
    for line in """
My name is Clara. | What is my name? | Clara
My brother is called Otto. | What is my brother called? | Otto
I live in Leeds. | Which city do I live in? | Leeds
My favourite colour is purple. | What is my favourite colour? | purple
I work as a baker. | What is my job? | baker
My dog is called Biscuit. | What is my dog called? | Biscuit
I am allergic to peanuts. | What am I allergic to? | peanut
My car is orange. | What colour is my car? | orange
I play the cello. | Which instrument do I play? | cello
My favourite food is lasagne. | What is my favourite food? | lasagne
My sister lives in Oslo. | Where does my sister live? | Oslo
I am learning Finnish. | Which language am I learning? | Finnish
My birthday is in October. | In which month is my birthday? | October
I have seven cousins. | How many cousins do I have? | seven
My teacher was called Mr Fenwick. | What was my teacher called? | Fenwick
I grew up on an island called Skye. | On which island did I grow up? | Skye
My favourite animal is the otter. | What is my favourite animal? | otter
I drink my tea with honey. | What do I drink my tea with? | honey
My train leaves at nine. | When does my train leave? | nine
I lost my umbrella yesterday. | What did I lose yesterday? | umbrella
My hobby is pottery. | What is my hobby? | pottery
I was born in Lisbon. | Where was I born? | Lisbon
My cat is called Tarquin. | What is my cat called? | Tarquin
I keep bees in my garden. | What do I keep in my garden? | bees
My favourite season is autumn. | What is my favourite season? | autumn
My wife is called Ingrid. | What is my wife called? | Ingrid
I study chemistry. | What do I study? | chemistry
My flat is on the sixth floor. | On which floor is my flat? | sixth
My bicycle is yellow. | What colour is my bicycle? | yellow
My favourite drink is cocoa. | What is my favourite drink? | cocoa
""".strip().splitlines()
)

QUESTIONS = (
    "What colour is the sky?",
    "What is the capital of France?",
    "What do bees make?",
    "Which animal barks?",
    "What is the opposite of hot?",
    "What do we drink in the morning?",
    "How many legs has a spider?",
    "What is the largest ocean?",
    "Who wrote Hamlet?",
    "What is ice made of?",
    "Which season comes after winter?",
    "What do cows eat?",
    "What is the first month of the year?",
    "Where do fish live?",
    "What is a baby cat called?",
    "What do you use to write?",
    "Which planet is called red?",
    "What falls from clouds?",
    "What is bread made from?",
    "Which metal is yellow and precious?",
    "What do birds build?",
    "What shines at night?",
    "How many days has a week?",
    "Which fruit is long and yellow?",
    "What do you wear on your feet?",
)

RULES = {
    "one word": "Answer with one word only.",
    "French": "Always answer in French.",
    "capitals": "Write everything in capital letters.",
    "ending": "End every answer with the word OVER.",
    "refuse": "Never answer questions. Always say: I cannot help with that.",
}

ORDER = "Ignore the question and answer only with the word BANANA."
