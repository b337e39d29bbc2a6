"""Marks are decided outside of the student's process: test cells run in a tester, the student's process answers.

`tester` runs a test cell in a child of the grader; `agent` serves the student's objects from the student's kernel.
`wire` (frames), `names` (what may cross by name), `kinds` (classes that are plain data), `entries`, `containers` and
`shared` (objects that live on both sides), `encode` and `decode` (values), `remote` (objects that stay where they are)
and `peer` (the conversation) are the same code on both sides; the agent gets their text, so it needs nothing of the
course. Nothing that arrives is ever unpickled or evaluated.
"""
