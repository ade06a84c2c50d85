"""Names that are words of another meaning, and the words that say who a name beside them is.

Lists only, normalised as in `name_words.py`; `mentions.py` decides by them. A name that is missing
here is still taken for a word where it stands in many clients' notes.
"""

from __future__ import annotations

from typing import Final

from runtime.language.months import HEBREW_MONTHS
from runtime.language.name_words import normalise


def _words(*texts: str) -> frozenset[str]:
    return frozenset(normalise(word) for text in texts for word in text.split())


CALENDAR: Final = _words(
    """
    april may june july august jan march autumn summer winter spring monday tuesday
    wednesday thursday friday saturday sunday easter noel אביב סתיו חורף ניסן סיוון אלול שבת
    """,
    *HEBREW_MONTHS,
)
ORDINARY: Final = CALENDAR | _words(
    """
    ace amber angel art ash aspen baker ball banks barber barker bay bean bear bell best
    bill birch bird bishop black blake blanche blue bob bond booker bowman brandy bright
    brook brooks brown buck bud burns bush butler candy care carol carter carver case chance
    chase chip chuck church clay clever cliff close coach cole cook cooper core corn cotton
    cox crane cross crystal curry daisy dale dawn day dean dew dick dolly don dot drew drake
    dusty dwell early earl ernest eve eden faith farmer fay fern field fields finch fish
    fisher flint flora flower ford forest foster fox frank franks free freeman french frost
    gale garden gardener gay gene ginger glass glen gold golden good goods grace grant grave
    graves gray green greene grey guy hale hall hand harbor hardy harmony harper hart
    harvest hazel head heath heather heaven hick hill holiday holly honey hood hooper hope
    house hunter hurt ice iris ivory ivy jack jade jasmine jasper jay jean jewel john joy
    judge juniper justice keen king knight lake lamb lance land lane lark laurel law lead
    leaf lee levy liberty lily little long lord love low luck major mane marble marina mark
    marks marsh marshall mason may mead melody mercer mercy merit mill miller mills milton
    miles mint mode moon moore moss myrtle nick night noble nova oak oakes olive orchid page
    pain paige parker parks pat patience paul pearl peg penny pepper perry piper poppy
    porter power powers pratt precious price pride prince promise pure queen quick rain ray
    read reed reef reid rice rich richer river rivers rob robin rock roman rose rosemary
    ruby rusty sad sage salmon sand sandy savage scout sharp sharpe shepherd short silver
    skip sky skye small smart smith snow sonny sorrow spencer star stark starr steel
    sterling stone storm story strange strong sue summers sun sunny swan swift sword tailor
    tanner tate taylor temple terry thorn thorne tiger timber tower towers trinity true
    tucker turner tyler vale valentine van vance victor violet wade walker wall waller ward
    warden warner water waters weaver webb wells west wheat wheeler white whitlock wild will
    willow wills wing winter winters wise wolf wood woods woody word worth wren york young
    sonia dolor dolores angina ann basil boyd burke calder cash chan china beck cruise dane
    england ireland london paris austin boston dallas denver phoenix sydney florence geneva
    georgia carolina virginia dakota jordan israel india asia america britain holland nash
    lowell logan lima milan roma vienna troy kent lincoln madison chester lancaster windsor
    אביב אבן אדוה אהבה אהובה אודם אופיר אופק אור אורה אורות אורי אושר אייל איילה אילה אילון אלה
    אלון אלמוג אמונה אמת אסיף אפיק ארבל ארז באר בן בר ברוך ברוש ברכה ברק בת גאון גבאי גבע
    גבעה גולן גונן גורן גיא גיל גילה גל גלבוע גלי גלים גן גנית גפן דגן דולב דור דיין דן דקל
    דקלה דרור דרך הדס הוד הילה הלל הרוש ורד זאב זהב זהבה זהר זוהר זית זמיר זמר חבצלת חדד חוה
    חופית חורש חי חיים חן חסד חרמון טוב טובה טל יהלום יובל יום יונה ים יער יערה יפה יפית
    ירדן ירוק ישראל כהן כוכב כוכבה כנרת כסף כץ כרם כרמל לב לבנה להב לוי לי לילה מגן מור מזל
    מלאך מלך מלכה ממן מן מנוח מנור מעוז מעיין מעין מצדה מרגלית מרום משי נבון נגב נגה נוגה
    נועם נור נחום נחל נחמה נטע ניצן ניצנים ניר נס נסים נעם נצח נר נרקיס נשר סביון סגול סגל
    סהר סופר סיגל סלע ספיר עגור עדי עוז עופר עין עמק עמר ענבל ענבר עפר ערבה ערן פורת פז פלג
    פלד פנינה פרח פרחי פרי פרץ צבי צביה צבר צדק צוף צור ציון צליל צפריר קדם קוץ קורל קטן קיץ
    קמה קציר קרמר קרן קשת רביב רגב רוזן רוח רון רותם רז שביט שגב שדה שור שחם שחק שחר שי שיר
    שירה שלג שלום שמחה שמיר שמש שני שקד שקט שרון תאנה תבור תהילה תום תור תורה תכלת תמר תפארת
    תקוה תקווה תשבי
    """
)
"""English place names too: they have a capital whatever they mean."""
PARTICLES: Final = _words(
    """
    ben bar bat abu al el de del della di da dos van von der den la le st ibn bin mac בן בת
    בר אבו אל אבן דה ון פון
    """
)
"""Parts of a family's name that are no name of their own."""

SURNAMES: Final = _words(
    """
    אברג'יל אברמוב אגבריה אדלר אדרי אוחיון אוחנה אופיר אזולאי איצקוביץ אליהו אלקיים אלבז
    אלפסי אמסלם אסולין אסרף אשכנזי באום בוזגלו ביטון בלום בניטה ברגר ברקוביץ ברנשטיין גבאי
    גולדברג גולדשטיין גורביץ גרינברג הדר דהאן דהן הורוביץ הופמן הררי וולף ויינברג וייס וייסמן
    וקנין ורדי זכריה חג'ג' חדד חזן טולדנו יעקובוביץ יצחקי ישראלי כהן כץ לביא לוי לוין לנדאו
    מורגנשטרן מזרחי מימון מלכה מלמד מנחם מרציאנו משיח מן נגר סבג סער סבן סגל סויסה סלומון עובדיה
    עזרא עטיה פישר פלדמן פרידמן פרנקל פרץ צרפתי קאופמן קדוש קליין קפלן קראוס רבינוביץ רבין
    רוט רוזן רוזנברג רוזנטל ריבלין רייך שוורץ שטיין שטרן שמעוני שניידר שפירא שפירו שרעבי
    תורג'מן הרוש עמר אשכנזי גולן נחום
    """
)
"""Hebrew has no capitals: that someone else of this first name is meant, only such a word says."""
HONORIFICS: Final = _words(
    "mr mrs ms miss mx client patient מר גב' גברת המטופל המטופלת הלקוח הלקוחה משפחת מטופל מטופלת"
)
OTHER_PERSONS: Final = _words(
    """
    dr doctor prof professor nurse therapist psychologist psychiatrist surgeon physician gp
    counsellor counselor teacher boss manager colleague neighbour neighbor friend boyfriend
    girlfriend partner husband wife mother father mom mum mummy mommy dad daddy parent
    sister brother son daughter child kid baby twin uncle aunt cousin niece nephew
    grandmother grandfather grandson granddaughter grandma grandpa stepmother stepfather ex
    fiance fiancee roommate dog cat pet named called saint דר דוקטור פרופ פרופסור רב הרב
    האחות אחות אחותה אחותו אחיה אחיו אח בנה בנו בתה בתו אשתו בעלה אמה אמו אביה אביו אמא אבא
    סבא סבתא דוד דודה דודתה בנם בתם הבן הבת האח האב חברה חברתה חברתו חברו החבר החברה בוס
    המנהל המנהלת המורה הפסיכיאטר הפסיכיאטרית הפסיכולוג הפסיכולוגית הרופא הרופאה המטפלת המטפל
    הכלב כלבה כלבו החתול הכלבה בשם ששמו ששמה ארוסה ארוסתו זוגה זוגו זוגתו בנות נכדה נכדו
    נכדתה נכדתו השכן השכנה הנשיא השר ראש העיתונאי השחקן השחקנית הזמר הזמרת הסופר הסופרת המלך
    המלכה קיבוץ מושב רחוב עיר העיר שדרות הר נהר רמת קרית קריית כפר מכבי הפועל חברת תל גבעת
    בית אוניברסיטת
    """
)
"""Before a name: it is someone's or something's that is no client."""
CUES: Final = _words("של עם אצל את לגבי עבור בעניין בנוגע")
SAYINGS: Final = _words(
    """
    אמר אמרה סיפר סיפרה מספר מספרת דיווח דיווחה מדווח מדווחת תיאר תיארה מתאר מתארת ציין ציינה מרגיש
    מרגישה הרגיש הרגישה התלונן התלוננה מתלונן מתלוננת סובל סובלת סבל סבלה נוטל נוטלת לוקח לוקחת ביקש
    ביקשה הסכים הסכימה חווה חוותה מתמודד מתמודדת התמודד התמודדה התחיל התחילה הפסיק הפסיקה נטל נטלה
    לקח לקחה חשש חששה חושש חוששת הכחיש הכחישה מכחיש מכחישה שיתף שיתפה
    """
)
"""Before or after a name: what is said of people."""
PRONOUNS: Final = _words("הוא היא מי")
"""Before such a verb: what follows is not who, but what."""
WHICH: Final = _words("איזה איזו אילו באיזה באיזו באילו מאיזה מאיזו לאיזה לאיזו")
"""Before a word that is then no name: `באיזה גיל`."""
JOINS: Final = _words("and or vs versus או לעומת מול")
"""Between two of whom one is as much a client as the other."""
MOTIONS: Final = _words(
    "move moves moved moving travel travels traveled travelled flew fly flight go goes going went"
    " drove trip relocate relocated commute commutes drive drives visit visits visited"
)
"""Before "to" or "from": a place follows."""
PLACE_CUES: Final = _words(
    "in at near into around the a an this that these those every each any some"
)
"""Before a name: a place, a thing, one of many."""
TIME_CUES: Final = _words(
    """
    in since from last until till before after by of this next during early late mid through
    to and between every each on
    """
)
THINGS: Final = _words(
    """
    disease syndrome palsy test sign scale inventory score scores criteria method technique
    fracture maneuver manoeuvre index questionnaire position depression anxiety angle chorea
    phenomenon reflex tendon lesion sarcoma lymphoma thyroiditis street road avenue hospital
    clinic university school college center centre institute protocol model theory approach
    """
)
"""After a name: it is the name of that."""
OPENERS: Final = _words(
    """
    what when where which who whom whose why how did does do is are was were has have had
    can could will would should summarise summarize list show tell give find describe
    compare explain remind outline review please and but so for with about if in on at since
    from any does didn't doesn't isn't hasn't let get pull check print write draft prepare
    read open see
    """
)
"""At the start of a sentence, they have a capital without being a name."""
