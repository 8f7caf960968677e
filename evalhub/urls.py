"""Every address of the site. Rooms own theirs; this is the only file that knows all of them."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from evalhub import health
from evalhub.leaderboard import api_urls as leaderboard_api
from evalhub.studies import api_urls as studies_api
from evalhub.studies.api import NothingView
from evalhub.studies.views.accounts import administration_sign_in
from metrics import api_urls as metrics_api
from raters import api_urls as raters_api

version_1 = [
    *studies_api.urlpatterns,
    *raters_api.urlpatterns,
    *metrics_api.urlpatterns,
    *leaderboard_api.urlpatterns,
    path("<path:rest>", NothingView.as_view()),
]

handler400 = "evalhub.problems.unreadable"
handler404 = "evalhub.problems.nothing"
handler500 = "evalhub.problems.broken"

urlpatterns = [
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", health.numbers),
    path("admin/login/", administration_sign_in),
    path("admin/", admin.site.urls),
    path("api/v1/", include((version_1, "v1"))),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    # The one whose script is a file of its own: the content security policy stops any inside a page.
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="api_docs.html"),
        name="docs",
    ),
    path("api/", NothingView.as_view()),
    path("api/<path:rest>", NothingView.as_view()),
    path("", include("evalhub.leaderboard.urls")),
    path("", include("raters.urls")),
    path("", include("metrics.urls")),
    path("", include("evalhub.studies.urls")),
]
