"""The bank of answers, other half of the topics: each test cell says outside of the process what it says within."""

import pytest
import small_course


@pytest.mark.parametrize("name", small_course.TOPICS[8:])
def test_every_cell_says_outside_what_it_says_inside(name):
    small_course.agrees_outside(name)
