from django.apps import AppConfig


class RatersConfig(AppConfig):
    name = "raters"

    def ready(self) -> None:
        from evalhub.studies.services.checklist import more_steps
        from raters.services import readiness

        if readiness.steps not in more_steps:
            more_steps.append(readiness.steps)
