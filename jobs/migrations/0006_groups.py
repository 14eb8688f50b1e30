"""Three groups to begin with: those who look, those who operate, those who answer for it."""

from typing import Any, Final

from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEWER: Final = ("view_job", "view_attempt", "view_deadletterqueue", "view_worker")
OPERATOR: Final = (*VIEWER, "add_job", "control_job", "triage_deadletterqueue", "operate_worker")
ADMIN: Final = (*OPERATOR, "delete_job", "view_audit")
GROUPS: Final = {"Jobs viewer": VIEWER, "Jobs operator": OPERATOR, "Jobs admin": ADMIN}


def make(apps: Any, schema_editor: Any) -> None:
    """Make the groups that are missing; those that people have changed stay as they are."""
    alias = schema_editor.connection.alias
    config = apps.get_app_config("jobs")
    before = getattr(config, "models_module", None)
    config.models_module = True  # else create_permissions takes the app for one without models: its signal has not come yet
    create_permissions(config, verbosity=0, using=alias, apps=apps)
    config.models_module = before
    group_model, permission_model = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for name, codenames in GROUPS.items():
        group, made = group_model.objects.using(alias).get_or_create(name=name)
        if made:
            permissions = permission_model.objects.using(alias).filter(content_type__app_label="jobs", codename__in=codenames)
            group.permissions.set(permissions)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0005_batch"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(make, migrations.RunPython.noop, elidable=False)]
