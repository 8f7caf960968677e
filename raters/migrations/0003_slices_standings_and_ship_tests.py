"""Slices of votes are fitted on demand; each rater's standing and every ship test's verdict is kept with its fit."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('raters', '0002_votes_only_added'),
        ('studies', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Margin',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('margin', models.FloatField(help_text='Elo.')),
                ('after_vote', models.BigIntegerField(default=0)),
                ('registered_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('withdrawn_at', models.DateTimeField(blank=True, null=True)),
                ('withdrawal_reason', models.TextField(blank=True)),
            ],
            options={
                'ordering': ['-registered_at'],
            },
        ),
        migrations.CreateModel(
            name='Standing',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('votes', models.PositiveIntegerField(default=0)),
                ('weight', models.FloatField(null=True)),
                ('lapse', models.FloatField(null=True)),
                ('gold_hits', models.PositiveIntegerField(default=0)),
                ('gold_total', models.PositiveIntegerField(default=0)),
                ('repeat_hits', models.PositiveIntegerField(default=0)),
                ('repeat_total', models.PositiveIntegerField(default=0)),
                ('side_bias', models.FloatField(help_text='How much stronger the left side is to her, in Elo.', null=True)),
                ('side_low', models.FloatField(null=True)),
                ('side_high', models.FloatField(null=True)),
                ('left_rate', models.FloatField(null=True)),
                ('tie_rate', models.FloatField(null=True)),
                ('median_seconds', models.FloatField(help_text='From both sides shown to the answer.', null=True)),
                ('agreement', models.FloatField(help_text='Share of her decisions for the side that the fit favours.', null=True)),
                ('expected_agreement', models.FloatField(help_text='That share if she decided as the fit says.', null=True)),
                ('influence', models.FloatField(null=True)),
                ('changes_top', models.BooleanField(default=False, help_text='Without her others would lead, or in another order.')),
            ],
        ),
        migrations.CreateModel(
            name='Verdict',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('outcome', models.CharField(choices=[('pass', 'Pass'), ('fail', 'Fail'), ('undecided', 'Undecided')], max_length=9)),
                ('difference', models.FloatField(null=True)),
                ('low', models.FloatField(null=True)),
                ('high', models.FloatField(null=True)),
                ('more_votes', models.PositiveBigIntegerField(help_text='About so many between the two would decide.', null=True)),
                ('votes', models.PositiveIntegerField(default=0, help_text='Answers counted: those after the registration.')),
                ('sentence', models.TextField()),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.RemoveConstraint(
            model_name='fit',
            name='fit_state_known',
        ),
        migrations.RemoveIndex(
            model_name='fit',
            name='fit_newest',
        ),
        migrations.AddField(
            model_name='comparison',
            name='expected',
            field=models.CharField(blank=True, choices=[('left', 'Left'), ('right', 'Right'), ('tie', 'Tie'), ('both_bad', 'Both bad'), ('withdrawn', 'Withdrawn')], help_text="A gold control's answer.", max_length=12),
        ),
        migrations.AddField(
            model_name='enrolment',
            name='group',
            field=models.CharField(blank=True, help_text='Where she comes from; rankings can be cut by it.', max_length=40),
        ),
        migrations.AddField(
            model_name='fit',
            name='agreement',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='fit',
            name='attempts',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='fit',
            name='covariates',
            field=models.JSONField(default=dict, help_text="By name, in Elo: a typical difference's effect."),
        ),
        migrations.AddField(
            model_name='fit',
            name='head_to_head',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='fit',
            name='influence',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='fit',
            name='inputs',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='fit',
            name='separations',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='fit',
            name='slice',
            field=models.JSONField(blank=True, default=dict, help_text="Which votes, and how; {} is the study's own ranking."),
        ),
        migrations.AddField(
            model_name='fit',
            name='slice_digest',
            field=models.CharField(default='44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='fit',
            name='stage',
            field=models.CharField(blank=True, help_text='What a worker is doing at it.', max_length=120),
        ),
        migrations.AlterField(
            model_name='fit',
            name='criterion',
            field=models.ForeignKey(blank=True, help_text='None: all pooled.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='fits', to='studies.criterion'),
        ),
        migrations.AlterField(
            model_name='fit',
            name='cut_off',
            field=models.BigIntegerField(default=0, help_text='Every vote of the study with an id up to this is in it.'),
        ),
        migrations.AlterField(
            model_name='fit',
            name='method',
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AlterField(
            model_name='fit',
            name='state',
            field=models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed')], default='done', max_length=8),
        ),
        migrations.AlterField(
            model_name='fit',
            name='version',
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AddIndex(
            model_name='fit',
            index=models.Index(fields=['study', 'criterion', 'slice_digest', '-created_at'], name='fit_newest'),
        ),
        migrations.AddIndex(
            model_name='vote',
            index=models.Index(condition=models.Q(('revision__gt', 1)), fields=['study', 'comparison', 'criterion'], name='vote_revised'),
        ),
        migrations.AddConstraint(
            model_name='comparison',
            constraint=models.CheckConstraint(condition=models.Q(('expected', ''), models.Q(('control', 'gold'), ('expected__in', ('left', 'right', 'tie', 'both_bad'))), _connector='OR'), name='comparison_expected_known'),
        ),
        migrations.AddConstraint(
            model_name='fit',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['waiting', 'running', 'done', 'failed'])), name='fit_state_known'),
        ),
        migrations.AddConstraint(
            model_name='fit',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('waiting', 'running'))), fields=('study', 'criterion', 'slice_digest'), name='fit_unfinished_once', nulls_distinct=False),
        ),
        migrations.AddField(
            model_name='margin',
            name='baseline',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='studies.checkpoint'),
        ),
        migrations.AddField(
            model_name='margin',
            name='candidate',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='studies.checkpoint'),
        ),
        migrations.AddField(
            model_name='margin',
            name='criterion',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='margins', to='studies.criterion'),
        ),
        migrations.AddField(
            model_name='margin',
            name='registered_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='margin',
            name='study',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='margins', to='studies.study'),
        ),
        migrations.AddField(
            model_name='standing',
            name='criterion',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='studies.criterion'),
        ),
        migrations.AddField(
            model_name='standing',
            name='enrolment',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='standings', to='raters.enrolment'),
        ),
        migrations.AddField(
            model_name='standing',
            name='fit',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='standings', to='raters.fit'),
        ),
        migrations.AddField(
            model_name='verdict',
            name='fit',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='verdicts', to='raters.fit'),
        ),
        migrations.AddField(
            model_name='verdict',
            name='margin',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='verdicts', to='raters.margin'),
        ),
        migrations.AddConstraint(
            model_name='margin',
            constraint=models.CheckConstraint(condition=models.Q(('candidate', models.F('baseline')), _negated=True), name='margin_of_two'),
        ),
        migrations.AddConstraint(
            model_name='margin',
            constraint=models.CheckConstraint(condition=models.Q(('margin__gt', 0)), name='margin_above_zero'),
        ),
        migrations.AddConstraint(
            model_name='margin',
            constraint=models.CheckConstraint(condition=models.Q(('withdrawn_at', None), models.Q(('withdrawal_reason', ''), _negated=True), _connector='OR'), name='margin_withdrawal_has_reason'),
        ),
        migrations.AddConstraint(
            model_name='margin',
            constraint=models.UniqueConstraint(condition=models.Q(('withdrawn_at', None)), fields=('criterion', 'candidate', 'baseline'), name='margin_once_at_a_time'),
        ),
        migrations.AddConstraint(
            model_name='standing',
            constraint=models.UniqueConstraint(fields=('enrolment', 'criterion'), name='standing_once_per_criterion'),
        ),
        migrations.AddConstraint(
            model_name='verdict',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['pass', 'fail', 'undecided'])), name='verdict_outcome_known'),
        ),
        migrations.AddConstraint(
            model_name='verdict',
            constraint=models.UniqueConstraint(fields=('margin', 'fit'), name='verdict_once_per_fit'),
        ),
    ]
