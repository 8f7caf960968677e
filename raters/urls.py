"""Where raters compare, and where owners look at what they did."""

from django.urls import path

from raters.exports import views as exports
from raters.views import desk, golds, lessons, mine, preview, recruiting, reports, review, rules, ship, showing, visits

urlpatterns = [
    path("rate/mine/", mine.mine, name="mine"),  # before the studies: none is called so
    path("rate/mine/erase/", mine.erase, name="erase"),
    path("rate/<slug:slug>/", desk.rate, name="rate"),
    path("rate/<slug:slug>/consent/", desk.consent, name="consent"),
    path("rate/<slug:slug>/begin/", desk.begin, name="begin"),
    path("rate/<slug:slug>/measure/", lessons.measure, name="measure"),
    path("rate/<slug:slug>/on/", lessons.go_on, name="go_on"),
    path("rate/<slug:slug>/again/", lessons.try_again, name="try_again"),
    path("rate/<slug:slug>/mine/", mine.mine_in, name="mine_in"),
    path("rate/<slug:slug>/mine/erase/", mine.erase_in, name="erase_in"),
    path("rate/<slug:slug>/withdraw/", mine.withdraw, name="withdraw"),
    path("rate/<slug:slug>/vote/", desk.vote, name="vote"),
    path("rate/<slug:slug>/skip/", desk.skip, name="skip"),
    path("rate/<slug:slug>/undo/", desk.undo, name="undo"),
    path("rate/<slug:slug>/see/", desk.see, name="see"),
    path("rate/<slug:slug>/ahead/", desk.ahead, name="ahead"),
    path("studies/<slug:slug>/preview/", preview.preview, name="preview"),
    path("studies/<slug:slug>/preview/<int:number>/<str:name>", preview.preview_picture, name="preview_picture"),
    path("studies/<slug:slug>/progress/", desk.progress, name="study_progress"),
    path("studies/<slug:slug>/raters/", review.review, name="rater_review"),
    path("studies/<slug:slug>/reports/", reports.reports, name="rater_reports"),
    path("studies/<slug:slug>/golds/", golds.known_answers, name="known_answers"),
    path("studies/<slug:slug>/golds/add/", golds.from_file, name="known_answers_add"),
    path("studies/<slug:slug>/golds/known-answers.csv", golds.as_file, name="known_answers_file"),
    path("studies/<slug:slug>/golds/<int:gold_id>/retire/", golds.retire, name="known_answer_retire"),
    path("studies/<slug:slug>/rules/", rules.rater_rules, name="rater_rules"),
    path("studies/<slug:slug>/rules/pay.csv", rules.pay, name="rater_pay"),
    path("studies/<slug:slug>/raters/<uuid:rater_id>/exclude/", review.exclude, name="rater_exclude"),
    path("studies/<slug:slug>/raters/<uuid:rater_id>/group/", review.group, name="rater_group"),
    path("take-part/<str:token>/", visits.take_part, name="take_part"),
    path("rate/<slug:slug>/leave/", visits.leave_study, name="leave"),
    path("studies/<slug:slug>/recruiting/", recruiting.recruiting, name="recruiting"),
    path("studies/<slug:slug>/recruiting/<uuid:recruitment_id>/", recruiting.recruitment, name="recruitment"),
    path(
        "studies/<slug:slug>/recruiting/<uuid:recruitment_id>/close/",
        recruiting.recruitment_close,
        name="recruitment_close",
    ),
    path(
        "studies/<slug:slug>/recruiting/<uuid:recruitment_id>/visits.csv",
        recruiting.recruitment_visits,
        name="recruitment_visits",
    ),
    path(
        "studies/<slug:slug>/recruiting/<uuid:recruitment_id>/question.xml",
        recruiting.recruitment_question,
        name="recruitment_question",
    ),
    path("studies/<slug:slug>/ship/", ship.ship_tests, name="ship_tests"),
    path("studies/<slug:slug>/ship/<uuid:margin_id>/withdraw/", ship.withdraw, name="ship_test_withdraw"),
    path("studies/<slug:slug>/export/", exports.export, name="export"),
    path("studies/<slug:slug>/export/totals/", exports.export_totals, name="export_totals"),
    path("shown/<str:token>", showing.shown, name="shown"),
    path("shown/<str:token>/tiles/<int:level>/<int:column>_<int:row>", showing.shown, name="shown_tile"),
    path("shown/<str:token>/<str:name>", showing.given, name="given"),
    path("shown/<str:token>/<str:name>/tiles/<int:level>/<int:column>_<int:row>", showing.given, name="given_tile"),
]
