"""First names that many people have, to tell that a question names somebody at all. Lists only.

`providers/strangers.py` asks. Left out are pet names, which a client may have beside the own name.
"""

from __future__ import annotations

from typing import Final

from runtime.language.name_words import normalise


def _words(text: str) -> frozenset[str]:
    return frozenset(map(normalise, text.split()))


HEBREW_NAMES: Final = _words(
    """
    אביבה אביגיל אביגדור אביטל אביאל אביחי אבירם אבישי אבנר אברהם אדוארד אדיר אהוד אהרון אהרן
    אופירה אוראל אורטל אוריאל אורית אורלי אורנה אושרית אחינועם איוון איילת אילן אילנה איריס
    אירית איתמר איתי אלברט אלדד אלון אלחנן אליאור אליהו אליעזר אלינור אלירן אלישבע אליסה
    אלכסנדר אלכסנדרה אלכס אלמה אלמוג אלנה אלעד אמיר אמיתי אמנון אנאל אנטון אנסטסיה אסתר
    אפרים אפרת אריאל אריאלה אריה ארנון אשר בוריס בנימין בנצי ברוריה ג'ואל ג'ולי ג'וליה
    גאולה גבריאל גבריאלה גדליה גדעון גילעד גיתית גליה גלית גלעד גרגורי דבורה
    דורית דורון דורין דימה דינה דליה דמיטרי דן דנית דניאל דניאלה הדסה הודיה הגר הדר
    ולדימיר ורדה ורוניקה זיו זיוה זכריה חגי חגית חנה חנן חננאל טוביה טטיאנה טליה
    טניה יאיר ידידיה יהב יהודה יהודית יהונתן יהושע יואב יואל יובל יוכבד יולי יוליה יונתן יוסף
    יורם יחיאל יחזקאל ינון ינאי יעל יעקב יפעת יצחק ירדנה ירון ירמיהו ישי ישעיהו יששכר כרמלה
    כרמית ליאון ליאור ליאורה ליאל ליאם ליאן ליאת ליהי לימור לינור ליעד לירון לירז לריסה מאיה
    מאיר מוחמד מוריה מורן מוריס מיה מיטל מיכאל מיכאלה מיכל מירב מירה מירי מירית מישל
    מנחם מנשה מעיין מרגלית מרדכי מריה מריאנה מרים מרינה מרינה משה מתן נאוה נאור נדב
    נדיה נוי נופר נורית נחמן נטלי נטליה ניסים ניסן נילי נימרוד נמרוד נעה נועה נעמה נעמי
    נפתלי נריה נתנאל נתן סבטלנה סאמר סימה סימון סמדר סמיר סרגיי עדיאל עודד עוזי עומר
    עומרי עופרה עידו עידן עידית עינב עינת עירית עמוס עמיחי עמיר עמית עמליה עמרי ענת ערד עתליה
    פאינה פאטמה פולינה פזית פלורה פנחס צופיה ציפורה צפורה קטיה קרינה ראובן
    רבקה רויטל רונית רוני רונן רות רותם רחל רחלי רינה רימון רננה רעות רפאל שאול שגית שולמית
    שושנה שילה שימרית שירלי שירן שלומית שלמה שמואל שמעון שמרית שניר שרית שרה
    תהל תומר תמרה דנה אסף איתן דוד נועם שירה אביב אדווה אופיר אורי אייל איילה גיא גיל גילה
    הילה ורד חוה חן טל יפית לילך מעוז ניצן נטע ניר סיגל ספיר עדי ענבל ערן צביה קורל רז שחר שקד שרון
    תמר תום
    """
)
NAMES_OF_OTHER_MEANING: Final = _words(
    """
    אביבה אלון אלמוג אסף אשר אריה איתן אמיר אהוד דוד דינה דליה דן דנה דורון
    הדר הגר זיו זיוה חנן טוביה טניה יהב יוסף יורם יולי יובל יעל ינון ירדנה ישי כרמלה
    ליאון לירון מורן מיכל מנחם מעיין מרגלית משה מתן נאוה נאור נדב נוי נופר נורית
    ניסן נעה נועה נעמה נתן סימה סימון עודד עומר עידן עמית ערד פלורה צופיה רוני רונן
    רות רותם רחל רינה רימון רננה רעות שילה שלמה שרה שושנה תומר תהל גאולה ציפורה
    צפורה הודיה זכריה חגי גליה נסים ניסים שאול ראובן מריה מירה אמנון
    אילן אמיתי הדסה מירב כרמית פזית שניר אדיר מישל אביטל איריס אירית
    """
)
"""In Hebrew they are also other words, or hardly to be told from such, as those of
`narrowing/ordinary_names.py` are."""

LATIN_NAMES: Final = _words(
    """
    aaron abigail adam adrian agnes ahmed alan albert alexander alexandra alexis alfred alice
    alison amanda amelia amira amy andrea andrew angela anita anna anne annette anthony antonio
    arthur ashley audrey barbara beatrice benjamin bernard beth bethany brandon brenda brian
    bridget bruce caitlin cameron carl carla carlos caroline catherine cecilia charles charlotte
    chloe christian christina christine christopher claire clara claudia colin connor craig
    cynthia daniel daniela danielle david deborah denise dennis derek diana diane dmitri donald
    donna dorothy douglas duncan dylan edith edward edwin eleanor elena elizabeth ellen emily emma
    eric erica erin esther ethan eugene eva evelyn fatima felix fernando fiona frances francis
    gabriel gabriela gareth gary gavin george gerald gloria gordon graham gregory hannah harold
    harriet harry helen henry howard hugh ian igor ingrid irene isaac isabel isabella ivan jacob
    jacqueline james jamie jane janet janice jason jeffrey jennifer jeremy jessica joan joanna
    joanne joel john jonathan jose joseph joshua juan judith julia julian julie karen karl kate
    katherine kathleen keith kelly kenneth kevin kimberly kyle larry laura lauren laurence leah
    leonard leslie liam linda lisa louis louise lucas lucia lucy luke lydia malcolm marcus margaret
    maria marie marilyn marion martha martin mary matthew maureen maxim megan melanie melissa
    michael michelle miguel mikhail miriam mohammed monica muhammad nadia nancy naomi natalia
    natalie natasha nathan neil nicholas nicola nicole nigel nina noah nora norman oleg oliver
    olivia omar oscar pamela patricia patrick paula pauline peter philip phoebe priscilla rachel
    ralph raymond rebecca richard robert roger ronald rosa rosalind roy russell ruth ryan samantha
    samuel sandra sarah scott sean sebastian sergei shannon sharon sheila shirley simon sofia sonya
    sophia sophie stacey stanley stella stephanie stephen steven stuart susan suzanne svetlana
    sylvia tamara tania tatiana teresa theodore theresa thomas timothy tracy valerie vanessa vera
    veronica vincent vivian vladimir walter wendy william xavier yasmin yvonne zachary zoe zelda
    """
)
