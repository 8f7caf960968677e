"""Votes are evidence: the database refuses to change or to delete one, whoever asks and however.

An undo adds a revision, an exclusion is a row of its own, and erasing a person cuts the link from her `Rater` to her
account, so nothing the site does needs either. A study with votes therefore cannot be deleted through the site
(Vote.study and Comparison.study protect it); an operator who must purge one disables the trigger first, which only
the table's owner can do and which is a deliberate act.
"""

from typing import ClassVar

from django.db import migrations

FORBID = """
CREATE FUNCTION raters_vote_is_only_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Votes are only ever added; vote % cannot be changed or deleted.', OLD.id
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER vote_is_only_added BEFORE UPDATE OR DELETE ON raters_vote
    FOR EACH ROW EXECUTE FUNCTION raters_vote_is_only_added();
"""

ALLOW = """
DROP TRIGGER vote_is_only_added ON raters_vote;
DROP FUNCTION raters_vote_is_only_added();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("raters", "0001_initial")]
    operations: ClassVar = [migrations.RunSQL(FORBID, ALLOW)]
