"""What people type into pages. A form checks the shape of its input; what may happen is decided by the services."""

from evalhub.studies.forms.accounts import AccountForm, SignInForm, TokenForm
from evalhub.studies.forms.files import FilesField, ManyFiles
from evalhub.studies.forms.log import LogForm
from evalhub.studies.forms.members import InviteForm, MemberForm, RoleForm, WithdrawalForm
from evalhub.studies.forms.prompts import PromptFilesForm, PromptForm
from evalhub.studies.forms.questions import BaseQuestions, QuestionsFormSet
from evalhub.studies.forms.studies import SECTIONS, SectionForm, StudyForm

__all__ = [
    "SECTIONS",
    "AccountForm",
    "BaseQuestions",
    "FilesField",
    "InviteForm",
    "LogForm",
    "ManyFiles",
    "MemberForm",
    "PromptFilesForm",
    "PromptForm",
    "QuestionsFormSet",
    "RoleForm",
    "SectionForm",
    "SignInForm",
    "StudyForm",
    "TokenForm",
    "WithdrawalForm",
]
