"""From transitions to people: cases, their stages, dispatch, what is held back, answers, reports."""
