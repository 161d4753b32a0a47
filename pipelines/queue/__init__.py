"""`trainyard predict --queue`: items are taken from a queue, and each has its predictions once.

    supervisor.py    starts consumers, replaces those that die, adds up what they report
    consumer.py      one of them, a process: takes items, answers them, takes them off the queue or sets them aside
    answering.py     the release that answers, followed when its label moves; items in, tables of predictions out
    items.py         what an item may say, and which files it may name
    rows.py          the rows that an item brings along, as a file like any other
    queues.py        what is asked of a queue; folder.py and redis_stream.py are two, and opening.py knows which a URI names

The order is what makes it once: the result is created under the item's id, on the condition that there is none, and only then is
the item taken off the queue. Whoever dies between the two leaves an item whose result is found by the next.
"""
