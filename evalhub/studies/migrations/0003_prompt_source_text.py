from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("studies", "0002_limits_and_late_publication")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="prompt",
            name="source_text",
            field=models.TextField(blank=True, help_text="What the source image shows, for editing."),
        ),
    ]
