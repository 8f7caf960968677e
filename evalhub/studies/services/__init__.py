"""Everything that changes a study, its members or its submissions: one keyword-only verb each."""

from evalhub.studies.services.bundles import Announced, Outcome, read_table, receive_files
from evalhub.studies.services.checklist import Step, checklist
from evalhub.studies.services.contestants import (
    lift_registration,
    register_contestants,
    restore_checkpoint,
    withdraw_checkpoint,
)
from evalhub.studies.services.criteria import MOST_QUESTIONS, Question, set_criteria
from evalhub.studies.services.delivery import chosen, deliver, lay_out, unpacked, wrapping
from evalhub.studies.services.manifest import CheckpointFacts, ManifestFile, read_files
from evalhub.studies.services.media import CutOff, NoRoom, store_media
from evalhub.studies.services.members import (
    accept_invite,
    add_member,
    change_role,
    create_first_administrator,
    create_invite,
    create_nameless_rater,
    create_token,
    create_user_by_invite,
    find_invite,
    remove_member,
    revoke_invite,
    revoke_token,
)
from evalhub.studies.services.prompts import (
    add_prompt,
    add_prompts,
    clashes,
    discard_prompts,
    keep_prompts,
    read_prompts,
    remove_prompts,
    type_prompt,
)
from evalhub.studies.services.quotas import OverQuota, Usage, set_quota, usage
from evalhub.studies.services.receiving import offset, part_sizes, promised, receive_file, receive_piece
from evalhub.studies.services.reports import BadFile, Report, report
from evalhub.studies.services.studies import (
    change_study,
    close_study,
    create_study,
    pause_study,
    publish_study,
)
from evalhub.studies.services.submissions import complete_submission, receive_manifest

__all__ = [
    "MOST_QUESTIONS",
    "Announced",
    "BadFile",
    "CheckpointFacts",
    "CutOff",
    "ManifestFile",
    "NoRoom",
    "Outcome",
    "OverQuota",
    "Question",
    "Report",
    "Step",
    "Usage",
    "accept_invite",
    "add_member",
    "add_prompt",
    "add_prompts",
    "change_role",
    "change_study",
    "checklist",
    "chosen",
    "clashes",
    "close_study",
    "complete_submission",
    "create_first_administrator",
    "create_invite",
    "create_nameless_rater",
    "create_study",
    "create_token",
    "create_user_by_invite",
    "deliver",
    "discard_prompts",
    "find_invite",
    "keep_prompts",
    "lay_out",
    "lift_registration",
    "offset",
    "part_sizes",
    "pause_study",
    "promised",
    "publish_study",
    "read_files",
    "read_prompts",
    "read_table",
    "receive_file",
    "receive_files",
    "receive_manifest",
    "receive_piece",
    "register_contestants",
    "remove_member",
    "remove_prompts",
    "report",
    "restore_checkpoint",
    "revoke_invite",
    "revoke_token",
    "set_criteria",
    "set_quota",
    "store_media",
    "type_prompt",
    "unpacked",
    "usage",
    "withdraw_checkpoint",
    "wrapping",
]
