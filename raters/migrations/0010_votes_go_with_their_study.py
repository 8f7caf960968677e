"""Votes are still never changed, nor deleted one by one. All of a study's go when the study itself is deleted: the
transaction that does it names the study, and no other study's votes can go in it."""

from typing import ClassVar

from django.db import migrations

WITH_THEIR_STUDY = """
CREATE OR REPLACE FUNCTION raters_vote_is_only_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('evalhub.deleting_study', true) = OLD.study_id::text THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'Votes are only ever added; vote % cannot be changed or deleted.', OLD.id
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
"""
NEVER = """
CREATE OR REPLACE FUNCTION raters_vote_is_only_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Votes are only ever added; vote % cannot be changed or deleted.', OLD.id
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("raters", "0009_what_was_skipped")]
    operations: ClassVar = [migrations.RunSQL(WITH_THEIR_STUDY, NEVER)]
