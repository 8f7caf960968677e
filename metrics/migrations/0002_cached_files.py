"""Files of the cache get a row of their own, with size and last use; a shard keeps its problems and a score its drift.

What was cached before is forgotten: it only saved time. Its files are collected as files that no row names.
"""

from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def forget_statistics(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("metrics", "ReferenceStatistics").objects.all().delete()


def keep_blocks_at_work(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """What a run has yet to merge, or what a retry of it would build on."""
    shard, file = apps.get_model("metrics", "Shard"), apps.get_model("metrics", "CachedFile")
    needed = shard.objects.exclude(block="").exclude(run__state="done")
    file.objects.bulk_create(
        [
            file(study_id=study, path=block, state="kept")
            for block, study in needed.values_list("block", "run__submission__checkpoint__study")
        ],
        ignore_conflicts=True,
        batch_size=1000,
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [("metrics", "0001_initial"), ("studies", "0001_initial")]

    operations: ClassVar = [
        migrations.RunPython(forget_statistics, migrations.RunPython.noop),
        migrations.DeleteModel(name="FeatureBlock"),
        migrations.RemoveField(model_name="referencestatistics", name="path"),
        migrations.CreateModel(
            name="CachedFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("path", models.CharField(max_length=300, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("writing", "Being written"), ("kept", "Kept"), ("condemned", "To be deleted")],
                        default="writing",
                        max_length=10,
                    ),
                ),
                ("size", models.PositiveBigIntegerField(default=0, help_text="Bytes.")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "used_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, help_text="When a run last found something in it."
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="studies.study"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["state", "used_at"], include=("size",), name="cached_file_by_use"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["writing", "kept", "condemned"])),
                        name="cached_file_state_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="FeatureRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fingerprint", models.CharField(max_length=64)),
                (
                    "key",
                    models.CharField(
                        help_text="The SHA-256 of what went in: an image, a caption, or an image and its partners.",
                        max_length=200,
                    ),
                ),
                ("row", models.PositiveIntegerField()),
                (
                    "file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="rows", to="metrics.cachedfile"
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="studies.study"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("study", "fingerprint", "key"), name="features_once"),
                ],
            },
        ),
        migrations.AddField(
            model_name="referencestatistics",
            name="file",
            field=models.ForeignKey(
                default=None,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="statistics",
                to="metrics.cachedfile",
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="score",
            name="drift",
            field=models.JSONField(
                default=dict,
                help_text="How far reduced precision moves the value from float32, measured on some samples.",
            ),
        ),
        migrations.AddField(
            model_name="shard",
            name="problems",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="Metric → why these samples have no value of it; the others go on.",
            ),
        ),
        migrations.RunPython(keep_blocks_at_work, forget_statistics),
    ]
