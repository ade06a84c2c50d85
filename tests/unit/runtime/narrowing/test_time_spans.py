"""A question's time is found where it is a filter, and only there."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from runtime.language.detection import detect
from runtime.narrowing.time_spans import TimeSpan, find_span

TODAY = date(2025, 11, 19)
"""A Wednesday."""

LABELLED = {
    # a name before the time that ends as another word does
    "מה קרה בפגישה של מיכל ב-3 בספטמבר?": "2025-09-03/2025-09-04",
    "מה אמר גלעד בספטמבר?": "2025-09-01/2025-10-01",
    "מה אמר אלעד בחודש שעבר?": "2025-10-01/2025-11-01",
    "מה אמר דן עד ספטמבר?": "/2025-10-01",
    # days, weeks, months and years counted from today
    "What did we work on in today's session?": "2025-11-19/2025-11-20",
    "What did Maya say yesterday?": "2025-11-18/2025-11-19",
    "What did she say the day before yesterday?": "2025-11-17/2025-11-18",
    "What happened this week?": "2025-11-17/2025-11-24",
    "Summarise last week's sessions": "2025-11-10/2025-11-17",
    "What did he say the week before last?": "2025-11-03/2025-11-10",
    "What did Maya report last month?": "2025-10-01/2025-11-01",
    "what did she eat LAST MONTH": "2025-10-01/2025-11-01",
    "How was her mood this month?": "2025-11-01/2025-12-01",
    "How was her mood last quarter?": "2025-07-01/2025-10-01",
    "What did she report last year?": "2024-01-01/2025-01-01",
    "What did he report in the last three weeks?": "2025-10-29/2025-11-20",
    "Any notes from the past 10 days?": "2025-11-09/2025-11-20",
    "How often did he cancel over the past month?": "2025-10-19/2025-11-20",
    "What did she report in the last year?": "2024-11-19/2025-11-20",
    "What was tried over the last couple of weeks?": "2025-10-29/2025-11-20",
    "What did we discuss two weeks ago?": "2025-11-01/2025-11-10",
    "What did she say 3 days ago?": "2025-11-15/2025-11-18",
    "What did we do last Monday?": "2025-11-17/2025-11-18",
    "What did we do last Wednesday?": "2025-11-12/2025-11-13",
    "What did he tell me on Monday?": "2025-11-17/2025-11-18",
    "What did she report since last week?": "2025-11-10/",
    "How has he slept since the beginning of the year?": "2025-01-01/",
    # dates, months, quarters and years by name
    "What was noted on 12 March 2025?": "2025-03-12/2025-03-13",
    "What was noted on 12.3.2025?": "2025-03-12/2025-03-13",
    "What was noted on 12/3/25?": "2025-03-12/2025-03-13",
    "What was noted on 3/25/2025?": "2025-03-25/2025-03-26",
    "What was noted on 2025-03-12?": "2025-03-12/2025-03-13",
    "What was noted on March 12th?": "2025-03-12/2025-03-13",
    "What was noted on the 3rd of December?": "2024-12-03/2024-12-04",
    "What was noted on Feb. 29?": "2024-02-29/2024-03-01",
    "What did she report in March?": "2025-03-01/2025-04-01",
    "What did she report in December?": "2024-12-01/2025-01-01",
    "What did she report in November?": "2025-11-01/2025-12-01",
    "What did she report last November?": "2024-11-01/2024-12-01",
    "What did she report in May 2023?": "2023-05-01/2023-06-01",
    "What did she report in March last year?": "2024-03-01/2024-04-01",
    "Which goals were set in 2024?": "2024-01-01/2025-01-01",
    "How was her mood in Q1 2025?": "2025-01-01/2025-04-01",
    "How was her mood in the second quarter of 2025?": "2025-04-01/2025-07-01",
    "Summary of the session of 3 June about her surgery": "2025-06-03/2025-06-04",
    # from, to, before, after
    "What has changed since March?": "2025-03-01/",
    "How has she been since March 2024?": "2024-03-01/",
    "What did we do from March to May?": "2025-03-01/2025-06-01",
    "What did we do from November to February?": "2024-11-01/2025-03-01",
    "What did we do from March to May 2024?": "2024-03-01/2024-06-01",
    "What did he say between 3 March and 5 April 2025?": "2025-03-03/2025-04-06",
    "What did he say from 12.3.2025 until today?": "2025-03-12/2025-11-20",
    "What did she say before June?": "/2025-06-01",
    "Until June, how was her mood?": "/2025-07-01",
    "What was noted after 5 May?": "2025-05-06/",
    "What was noted after 5 May and before July?": "2025-05-06/2025-07-01",
    "What did she report in March and in May?": "2025-03-01/2025-06-01",
    # Hebrew
    "מה עשינו בפגישה היום?": "2025-11-19/2025-11-20",
    "מה היה אתמול?": "2025-11-18/2025-11-19",
    "מה נאמר שלשום?": "2025-11-17/2025-11-18",
    "מה קרה השבוע?": "2025-11-16/2025-11-23",
    "מה היה בשבוע שעבר?": "2025-11-09/2025-11-16",
    "סכם את הפגישות מהשבוע שעבר": "2025-11-09/2025-11-16",
    "מה היה בשבוע האחרון?": "2025-11-12/2025-11-20",
    "מה מאיה דיווחה בחודש שעבר?": "2025-10-01/2025-11-01",
    "האם היה שיפור בחודש האחרון?": "2025-10-19/2025-11-20",
    "מה דווח בחודשיים האחרונים?": "2025-09-19/2025-11-20",
    "מה דווח בשלושת החודשים האחרונים?": "2025-08-19/2025-11-20",
    "מה עלה ב-3 השבועות האחרונים?": "2025-10-29/2025-11-20",
    "מה דווח בחצי השנה האחרונה?": "2025-05-19/2025-11-20",
    "מה היה בשנה שעברה?": "2024-01-01/2025-01-01",
    "מה היה בשנה האחרונה?": "2024-11-19/2025-11-20",
    "מה היה אשתקד?": "2024-01-01/2025-01-01",
    "מה דיווח החודש?": "2025-11-01/2025-12-01",
    "על מה דיברנו לפני שבועיים?": "2025-11-01/2025-11-10",
    "על מה דיברנו לפני שלושה שבועות?": "2025-10-25/2025-11-03",
    "מה היה ביום ראשון שעבר?": "2025-11-16/2025-11-17",
    "מה השתנה מתחילת השנה?": "2025-01-01/",
    "מה דווח במרץ 2025?": "2025-03-01/2025-04-01",
    "מה דווח במרס?": "2025-03-01/2025-04-01",
    "מה דווח בחודש מרץ?": "2025-03-01/2025-04-01",
    "מה דווח בדצמ' 2024?": "2024-12-01/2025-01-01",
    "מה נאמר ב-12 במרץ?": "2025-03-12/2025-03-13",
    "מה נאמר ב-12 במרץ 2024?": "2024-03-12/2024-03-13",
    "מה נאמר ב-12.3.2025?": "2025-03-12/2025-03-13",
    "אילו מטרות נקבעו בשנת 2024?": "2024-01-01/2025-01-01",
    "מה היה ברבעון הראשון של 2025?": "2025-01-01/2025-04-01",
    "סכם את הפגישות מספטמבר": "2025-09-01/2025-10-01",
    "מה השתנה מאז מרץ?": "2025-03-01/",
    "מה דווח ממרץ עד מאי?": "2025-03-01/2025-06-01",
    "מה נאמר בין מרץ ליוני?": "2025-03-01/2025-07-01",
    "מה נאמר אחרי 5 במאי?": "2025-05-06/",
    "מה נאמר לפני יוני?": "/2025-06-01",
    "מה נאמר עד יוני?": "/2025-07-01",
}

TRAPS = [
    # no time at all
    "What is her last name?",
    "Is he at last sleeping well?",
    "May I see her notes?",
    "When was her last period?",
    "past medical history of Noa",
    "What may help her march on?",
    "What happened after the accident?",
    "What is her blood pressure, 120/80?",
    "Is the dose 12.5 mg or 2000 mg?",
    "",
    # a time that is asked for
    "When did she start sertraline?",
    "How many years has he smoked since 2010?",
    "In which month of 2024 did she move?",
    "How long has she been off work since March?",
    "Since when does he live alone?",
    # durations, ages, rates
    "Does she exercise twice a week?",
    "Has he had headaches for 3 months?",
    "Has he had a cough for the last three weeks?",
    "Who is 18 months old?",
    "Does she see her son every week?",
    "How does he feel a week before exams?",
    # the time of what notes tell of
    "Who had surgery in November 2020?",
    "How was she after the accident in March?",
    "Which client injected drugs more than fifteen years ago?",
    "Who went hunting a few weeks ago?",
    "What did he feel in the last year of school?",
    "How was her last year in the army?",
    "What happened in 1948?",
    "What does she say of the 2024 guidelines?",
    # now, or to come
    "How is she today?",
    "What is planned for next week?",
    "What is due by March?",
    # statements
    "I fell yesterday and it hurts",
    "My shoulder started to hurt last week. It got worse and now I cannot lift it",
    # other times are needed too
    "Has the pain improved compared with last month?",
    "Did she sleep better than in March?",
    # someone's words
    'Who said "nothing happened last month"?',
    # a heap of dates
    "What was said in March 2024, in May 2024," + " in June 2025" * 7,
    # no such date
    "What was noted on 31.2.2025?",
    "What was noted on 45/45/2025?",
    "What will be noted on 12 March 2027?",
    # Hebrew
    "מה מצבה היום?",
    "כמה שנים הוא מעשן?",
    "מתי התחילה את הטיפול?",
    "מה קרה אחרי התאונה?",
    "האם היא מתאמנת פעמיים בשבוע?",
    "בן כמה הוא?",
    "האם יש לו כאבים במשך שלושה חודשים?",
    "מי עבר ניתוח בנובמבר 2020?",
    "מי יצא לטיול לפני כמה שבועות?",
    "מאז מתי היא נוטלת אותה תרופה?",
    "באיזו שנה עברה לחיפה?",
    "מי הבמאי שהיא אוהבת?",
    "מה מתוכנן לשבוע הבא?",
    "האם יש שיפור לעומת החודש שעבר?",
    "איך היא חוגגת את ראש השנה?",
    "לאן היא נוסעת בסוף השבוע?",
    "מה עשה בשנה האחרונה של התיכון?",
]


def describe(span: TimeSpan | None) -> str | None:
    if span is None:
        return None
    since, until = span.since, span.until
    return f"{since.date() if since else ''}/{until.date() if until else ''}"


@pytest.mark.parametrize("question", LABELLED)
def test_a_time_that_notes_are_filtered_by_is_found(question: str) -> None:
    span = find_span(question, today=TODAY, language=detect(question))

    assert describe(span) == LABELLED[question]


@pytest.mark.parametrize("question", TRAPS)
def test_a_time_that_is_no_filter_is_not(question: str) -> None:
    assert find_span(question, today=TODAY, language=detect(question)) is None


def test_days_begin_at_midnight_in_utc() -> None:
    span = find_span("What did she say on 12 March 2025?", today=TODAY, language="en")

    assert span == TimeSpan(
        datetime(2025, 3, 12, tzinfo=UTC), datetime(2025, 3, 13, tzinfo=UTC), dated=True
    )


def test_a_span_counted_from_today_is_not_dated() -> None:
    span = find_span("What did she say last month?", today=TODAY, language="en")

    assert span is not None
    assert not span.dated


@pytest.mark.parametrize(
    ("today", "month"),
    [(date(2025, 3, 31), "2025-02-28/2025-04-01"), (date(2024, 3, 31), "2024-02-29/2024-04-01")],
)
def test_a_month_back_from_a_day_that_it_has_not_is_its_last(today: date, month: str) -> None:
    span = find_span("What did she report in the past month?", today=today, language="en")

    assert describe(span) == month


@pytest.mark.parametrize("today", [date(2025, 1, 1), date(2024, 2, 29), date(2025, 12, 31)])
def test_every_labelled_question_is_read_on_any_day(today: date) -> None:
    for question in LABELLED:
        span = find_span(question, today=today, language=detect(question))

        assert span is None or span.since is None or span.until is None or span.since < span.until
