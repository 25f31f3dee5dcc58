"""The word lists behind variable names: what school-book sentences are made of."""

import builtins
import keyword


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LINKS = _words("of in per for after before from to with at by on into than under over")
DROPPED = _words(
    "a an the this that these those his her their its our my your he she they it we i you him "
    "them us some all just only also now then so thus therefore hence still there here which "
    "who whom whose what how many much such very too already together altogether own up out "
    "about as again exactly approximately roughly around same other another more less fewer "
    "extra additional initially currently including originally remaining hasn didn wasn doesn "
    "isn won each every both either mr mrs ms dr finally first next lastly secondly thirdly "
    "afterwards however and or but not no yes off"
)
CLAUSE_STARTS = _words(
    "so because since if then that which means meaning when while and but thus therefore "
    "hence as where or"
)
AUXILIARIES = _words(
    "is are was were be been being has have had do does did will would can could should may "
    "might must shall equals equal gets get got becomes became comes came leaves left need "
    "needs needed makes make made gives give gave takes take took totals represents represent "
    "contains contain cost costs amounts amount remained remain remains added add divided "
    "divide multiplied multiply subtract subtracted means mean equaled says said wants want "
    "receive receives received require requires required go goes went include includes let "
    "find having leaving making using giving costing getting ends end weigh weighs consider "
    "know knows like likes lives live work works worked last lasts start starts started begin "
    "begins began decides decided plans planned"
)
_FORMS = {
    "sold": "sold sells sell",
    "bought": "bought buys buy",
    "spent": "spent spends spend",
    "earned": "earned earns earn",
    "paid": "paid pays pay",
    "eaten": "ate eats eat",
    "drunk": "drank",
    "read": "read reads",
    "used": "used uses use",
    "saved": "saved saves save",
    "baked": "baked bakes",
    "collected": "collected collects",
    "picked": "picked picks",
    "walked": "walked",
    "run": "ran",
    "driven": "drove drives",
    "written": "wrote writes",
    "scored": "scored",
    "planted": "planted",
    "watched": "watched",
    "lost": "lost loses",
    "found": "found",
    "caught": "caught catches",
    "won": "won wins",
    "produced": "produced produces",
    "traveled": "traveled travels",
    "owed": "owes owed",
    "charged": "charges charged",
    "donated": "donated donates",
    "practiced": "practiced",
    "slept": "slept sleeps",
}
PARTICIPLES = {form: participle for participle, forms in _FORMS.items() for form in forms.split()}
ORDINARY_VERBS = AUXILIARIES | frozenset(PARTICIPLES)
QUANTITIES = _words(
    "cost costs total price number amount value weight height length width area volume age "
    "salary income profit savings money distance time speed rate average sum difference "
    "change bill balance tax discount score perimeter budget payment fee tip earnings revenue "
    "count share capacity percentage ratio hours minutes days weeks months years miles "
    "dollars"
)
PERIODS = _words("hour minute second day week month year night morning mile pound gallon")
AFTER_MONEY = _words("left total remaining change month week day year hour per")
DETERMINERS = _words("a an the his her their its each every")
TAKEN = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(keyword.softkwlist)
ASKED = {"long": "time", "far": "distance", "old": "age of"}
OPERATION_NAMES = {"+": "total", "-": "difference", "*": "product", "/": "quotient"}
