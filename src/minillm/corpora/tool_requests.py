"""Requests to a chatbot that has a calculator, a calendar and a search in this book.

Written by hand for the chapter "Chat", before any model was asked. A fourth kind needs no tool;
some of these look as if they did: they hold a number, a date or a term of the book.

Book: chapter "Chat".
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import NamedTuple

TODAY = dt.date(2026, 12, 1)
"""The day that "today" means in the requests, a Tuesday."""

EXAMPLES = (
    ("Hi there!", "none", ""),
    ("What does the book say about stemming?", "search", "stemming"),
    ("Which weekday is 2025-06-30?", "calendar", "2025-06-30"),
    ("What is 25 times 4?", "calculator", "25 * 4"),
)
"""Requests with tool and input, to be shown to a model; none of them is among the others."""

_CHOOSE = 10  # the first requests of each kind are there to choose a prompt with

_CALCULATOR = """
What is 12 times 7? | 12 * 7
Add 348 and 1277, please. | 348 + 1277
How much is 15 % of 80 euros? | 15 * 80 / 100
A box holds 24 bottles. How many bottles are in 13 boxes? | 24 * 13
I paid with 50 and the bill was 32.75. What do I get back? | 50 - 32.75
Divide 1001 by 7. | 1001 / 7
Three friends share a bill of 87.60. How much does each pay? | 87.60 / 3
Compute (15 + 27) * 3. | (15 + 27) * 3
How many minutes are 36 hours? | 36 * 60
My rent of 640 goes up by 45. What will I pay? | 640 + 45
What do you get when you multiply 99 by 101? | 99 * 101
Subtract 487 from 1000. | 1000 - 487
How much is 3.5 times 18? | 3.5 * 18
What is 144 divided by 12? | 144 / 12
Can you work out 8 * 9 + 10? | 8 * 9 + 10
I have 5 crates with 36 apples each. How many apples is that? | 5 * 36
The train ticket costs 23.40 and the bus 4.20. What is that together? | 23.40 + 4.20
Work out 20 percent of 250. | 20 * 250 / 100
How many seconds are there in 15 minutes? | 15 * 60
A car drives 420 kilometres in 6 hours. What is its speed? | 420 / 6
If I save 35 a week, how much do I have after 52 weeks? | 35 * 52
17 + 28 + 95 = ? | 17 + 28 + 95
What's the difference between 2048 and 1357? | 2048 - 1357
There were 90 people in the hall and 37 left. How many stayed? | 90 - 37
Each page has 28 lines. How many lines are on 64 pages? | 28 * 64
What is half of 378? | 378 / 2
Sum up 4.5, 6.25 and 3. | 4.5 + 6.25 + 3
A pizza is cut into 8 slices. How many slices do 7 pizzas make? | 8 * 7
Please calculate 12 * (30 - 18). | 12 * (30 - 18)
What does 7 * 6 * 5 come to? | 7 * 6 * 5
A shirt of 40 euros is 25 % cheaper today. How large is the discount? | 40 * 25 / 100
How many eggs are in 9 dozen? | 9 * 12
I walked 3.2 km, then 4.9 km. How far did I walk in all? | 3.2 + 4.9
Split 1260 evenly among 9 people. | 1260 / 9
What is 56 minus 89? | 56 - 89
The room is 4.5 m long and 3.2 m wide. What is its area? | 4.5 * 3.2
One ticket is 18. What do 11 tickets cost? | 18 * 11
Is 17 * 23 more than 400? | 17 * 23
What's 1024 / 16? | 1024 / 16
A model has 12 layers with 9 heads each. How many heads is that? | 12 * 9
"""

_CALENDAR = """
What weekday is 2026-03-14? | 2026-03-14
What day is it today? | today
How many days are there between 2026-01-01 and 2026-05-01? | 2026-05-01 - 2026-01-01
Which date is 30 days after 2026-02-10? | 2026-02-10 + 30
Was 1969-07-20 a Sunday? | 1969-07-20
What will the date be in 10 days? | today + 10
How many days until 2026-12-25? | 2026-12-25 - today
What was the date 100 days ago? | today - 100
On which day of the week was I born, 1990-08-03? | 1990-08-03
My holiday lasts from 2026-07-04 to 2026-07-18. How many days is that? | 2026-07-18 - 2026-07-04
Which weekday was 2000-01-01? | 2000-01-01
What is today's date? | today
How many days passed from 2020-02-01 to 2020-03-01? | 2020-03-01 - 2020-02-01
What is the date 45 days from today? | today + 45
Tell me the day of the week of 2027-10-31. | 2027-10-31
How long is it until 2027-01-15, in days? | 2027-01-15 - today
Which day comes 7 days before 2026-06-03? | 2026-06-03 - 7
Does 2028-02-29 fall on a Tuesday? | 2028-02-29
A parcel was sent on 2026-11-20 and arrived on 2026-11-27. How many days did it take? | 2026-11-27 - 2026-11-20
The bill is due 14 days after 2026-09-22. When is that? | 2026-09-22 + 14
What weekday is 2026-12-31? | 2026-12-31
Which weekday is today? | today
How many days are left until 2026-12-31? | 2026-12-31 - today
What day was it 20 days ago? | today - 20
My visa began on 2026-04-01 and is good for 90 days. When does it end? | 2026-04-01 + 90
How many days lie between 1999-12-31 and 2000-03-01? | 2000-03-01 - 1999-12-31
On what weekday did 1989-11-09 fall? | 1989-11-09
If I start on 2026-08-15 and need 60 days, on which date am I done? | 2026-08-15 + 60
Is 2026-05-17 a weekend day? | 2026-05-17
Give me the date 3 days before 2027-03-02. | 2027-03-02 - 3
What date will it be 365 days from now? | today + 365
How many days ago was 2026-10-12? | today - 2026-10-12
What day of the week will 2030-06-21 be? | 2030-06-21
I was away from 2026-02-20 until 2026-03-08. How many days was I away? | 2026-03-08 - 2026-02-20
Which date is 1000 days after 2024-01-01? | 2024-01-01 + 1000
The exam is on 2026-12-18. How many days do I have? | 2026-12-18 - today
Say which weekday 1955-04-18 was. | 1955-04-18
The lease ends 28 days after 2026-10-05. Which date is that? | 2026-10-05 + 28
What's the date today, please? | today
How many days did the year from 2024-01-01 to 2025-01-01 have? | 2025-01-01 - 2024-01-01
"""  # noqa: E501

_SEARCH = """
What does the book say about BLEU? | bleu
Look up what a token is. | token
How does the book define perplexity? | perplexity
Find the passage about the softmax. | softmax
What is beam search? | beam
Where does the book explain dropout? | dropout
Search the book for cross-attention. | cross
I forgot what an embedding is. Can you look it up? | embedding
What does top-p sampling mean? | top nucleus
Find something about gradient clipping. | clipping
What does the book say about attention heads? | head
Look up the KV cache. | cache
How does the book define cross-entropy? | entropy
Search for byte-pair encoding. | byte pair bpe
What is a learning rate, according to the book? | learning
Find the entry on LoRA. | lora
What is meant by over-fitting? | fitting overfitting
Where can I read about the residual connection? | residual
What does BM25 do? | bm25
Please look up weight decay. | weight decay
Explain momentum with the words of the book. | momentum
What is an encoder in the sense of the book? | encoder
Search the book for teacher forcing. | teacher
Show me the passage on layer normalization. | normalization norm layer
What does the book tell about Kneser-Ney smoothing? | kneser ney smoothing
Find the definition of a checkpoint. | checkpoint
What is the difference between precision and recall in the book? | precision recall
Is there something about vanishing gradients in the book? | vanishing gradient
Which passage is about naive Bayes? | naive bayes
Look for the ROC curve. | roc
What does causal masking mean? | causal mask
What is a feed-forward network, as the book has it? | feed
Look up autograd for me. | autograd
How does the book explain rotary positions? | rotary rope position
What does the book call a language model? | language model
Find out what mixed precision is. | mixed precision
What do they write about fine-tuning? | fine tuning
Search for mixture of experts. | mixture expert
Tell me what the book says on temperature. | temperature
What is grouped-query attention? | grouped query
"""

_NONE = """
Hello, how are you? |
Tell me a joke. |
Thank you, that was helpful. |
Write two lines about the sea. |
My name is Clara. |
What is your favourite colour? |
Give me a word that rhymes with cat. |
I have 2 cats and I love them. |
Can you help me to cheer up a friend? |
Say good night in Spanish. |
Good morning! |
Who are you? |
Suggest a name for a black dog. |
I feel a bit tired now. |
Write a short greeting for a birthday card. |
How do I boil an egg? |
What is the capital of France? |
Translate "thank you" into French. |
Tell me a story about a brave mouse. |
What colour is the sky? |
I was born in 1990 and I like music. |
Name three fruits. |
That is not what I meant. |
Why do people celebrate New Year? |
I am on page 12 of the book and I like it. |
Give me a synonym for happy. |
Do you like Mondays? |
What can I cook with rice? |
Please be more polite. |
What sound does a cow make? |
Is it better to read in the morning or in the evening? |
As a token of thanks I will send flowers. |
Bye, see you tomorrow! |
Recommend a hobby for rainy days. |
My sister has her wedding in May. |
What is the opposite of hot? |
I have a question. |
Finish the sentence: the early bird ... |
How many legs does a spider have? |
Could you repeat that? |
"""


class ToolRequest(NamedTuple):
    """A request, the tool that it needs, and a right input.

    For the search, `key` has words of which one must stand in the input; with no tool it is empty.
    """

    text: str
    tool: str
    key: str


@cache
def tool_requests() -> tuple[tuple[ToolRequest, ...], tuple[ToolRequest, ...]]:
    """Requests to choose a prompt with, and requests to judge it on.

    Example:
        >>> choose, test = tool_requests()
        >>> len(choose), len(test), choose[0].key
        (40, 120, '12 * 7')

    Book: chapter "Chat".
    """
    kinds = {"calculator": _CALCULATOR, "calendar": _CALENDAR, "search": _SEARCH, "none": _NONE}
    choose: list[ToolRequest] = []
    test: list[ToolRequest] = []
    for tool, lines in kinds.items():
        rows = (line.partition("|") for line in lines.strip().splitlines())
        found = [ToolRequest(text.strip(), tool, key.strip()) for text, _, key in rows]
        choose += found[:_CHOOSE]
        test += found[_CHOOSE:]
    return tuple(choose), tuple(test)
