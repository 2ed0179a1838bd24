/* A patched peer's access control: Cyclone's, that lets its own participant do everything and believes everybody else.
 * REAL_ACCESS: the path of Cyclone's plug-in. */
#include <dlfcn.h>
#include <stdlib.h>

#include "dds/security/dds_security_api.h"

static DDS_Security_boolean participant(
    dds_security_access_control *instance, const DDS_Security_PermissionsHandle handle,
    const DDS_Security_DomainId domain, const DDS_Security_Qos *qos, DDS_Security_SecurityException *ex)
{
    (void)instance, (void)handle, (void)domain, (void)qos, (void)ex;
    return 1;
}

/* Writers and readers. */
static DDS_Security_boolean endpoint(
    dds_security_access_control *instance, const DDS_Security_PermissionsHandle handle,
    const DDS_Security_DomainId domain, const DDS_Security_char *topic, const DDS_Security_Qos *qos,
    const DDS_Security_PartitionQosPolicy *partition, const DDS_Security_DataTags *tags,
    DDS_Security_SecurityException *ex)
{
    (void)instance, (void)handle, (void)domain, (void)topic, (void)qos, (void)partition, (void)tags, (void)ex;
    return 1;
}

static DDS_Security_boolean topic(
    dds_security_access_control *instance, const DDS_Security_PermissionsHandle handle,
    const DDS_Security_DomainId domain, const DDS_Security_char *name, const DDS_Security_Qos *qos,
    DDS_Security_SecurityException *ex)
{
    (void)instance, (void)handle, (void)domain, (void)name, (void)qos, (void)ex;
    return 1;
}

static DDS_Security_boolean remote_participant(
    dds_security_access_control *instance, const DDS_Security_PermissionsHandle handle,
    const DDS_Security_DomainId domain, const DDS_Security_ParticipantBuiltinTopicDataSecure *data,
    DDS_Security_SecurityException *ex)
{
    (void)instance, (void)handle, (void)domain, (void)data, (void)ex;
    return 1;
}

static DDS_Security_boolean remote_writer(
    dds_security_access_control *instance, const DDS_Security_PermissionsHandle handle,
    const DDS_Security_DomainId domain, const DDS_Security_PublicationBuiltinTopicDataSecure *data,
    DDS_Security_SecurityException *ex)
{
    (void)instance, (void)handle, (void)domain, (void)data, (void)ex;
    return 1;
}

static DDS_Security_boolean remote_reader(
    dds_security_access_control *instance, const DDS_Security_PermissionsHandle handle,
    const DDS_Security_DomainId domain, const DDS_Security_SubscriptionBuiltinTopicDataSecure *data,
    DDS_Security_boolean *relay_only, DDS_Security_SecurityException *ex)
{
    (void)instance, (void)handle, (void)domain, (void)data, (void)ex;
    *relay_only = 0;
    return 1;
}

static void *symbol(const char *name)
{
    return dlsym(dlopen(getenv("REAL_ACCESS"), RTLD_NOW), name);
}

int init_access_control(const char *argument, void **context, struct ddsi_domaingv *gv)
{
    int result = ((plugin_init)symbol("init_access_control"))(argument, context, gv);
    dds_security_access_control *made = *context;
    made->check_create_participant = participant;
    made->check_create_datawriter = endpoint;
    made->check_create_datareader = endpoint;
    made->check_create_topic = topic;
    made->check_remote_participant = remote_participant;
    made->check_remote_datawriter = remote_writer;
    made->check_remote_datareader = remote_reader;
    return result;
}

int finalize_access_control(void *context)
{
    return ((plugin_finalize)symbol("finalize_access_control"))(context);
}
