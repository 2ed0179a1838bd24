/* Takes samples from Cyclone DDS by the batch: two calls from Python instead of three for each sample.
 *
 * Plain C interface, for cffi in ABI mode (src/bridgehead/protocols/dds/batch.py); built by tools/cyclonedds.py. Without
 * it the hub takes samples one by one. Nothing here keeps state: all memory is the caller's.
 */
#include <stdint.h>
#include <string.h>

#include "dds/dds.h"
#include "dds/ddsi/ddsi_serdata.h"

#define EXPORTED __attribute__ ((visibility ("default")))

/* What batch.py unpacks: "=qQQQIII4x". A sample that is larger than allowed has size 0, and no octets. */
struct record {
  int64_t timestamp;
  uint64_t instance;
  uint64_t publication;
  uint64_t offset;
  uint32_t size;
  uint32_t state;
  uint32_t valid;
  uint32_t unused;
};

EXPORTED uint32_t bridgehead_record_octets (void)
{
  return (uint32_t) sizeof (struct record);
}

/* Takes at most `most` samples; `total` are the octets of those that are not larger than `largest`.
 * Returns their number, or Cyclone's error. Each one is to be given to bridgehead_copy, once. */
EXPORTED int32_t bridgehead_take (dds_entity_t reader, struct ddsi_serdata **taken, dds_sample_info_t *infos,
                                  struct record *records, uint32_t most, uint32_t largest, uint64_t *total)
{
  uint64_t offset = 0;
  const dds_return_t count = dds_takecdr (reader, taken, most, infos, DDS_ANY_STATE);
  for (dds_return_t i = 0; i < count; i++)
  {
    const uint32_t size = ddsi_serdata_size (taken[i]);
    const dds_sample_info_t *info = &infos[i];
    struct record *record = &records[i];
    record->timestamp = info->source_timestamp;
    record->instance = info->instance_handle;
    record->publication = info->publication_handle;
    record->offset = offset;
    record->size = size > largest ? 0 : size;
    record->state = (uint32_t) info->instance_state;
    record->valid = info->valid_data;
    record->unused = 0;
    offset += record->size;
  }
  *total = offset;
  return count;
}

/* Copies the octets of all of them into `into`, which has room for `total`, and lets go of the samples. */
EXPORTED void bridgehead_copy (struct ddsi_serdata **taken, const struct record *records, uint32_t count, char *into)
{
  for (uint32_t i = 0; i < count; i++)
  {
    if (records[i].size)
      ddsi_serdata_to_ser (taken[i], 0, records[i].size, into + records[i].offset);
    ddsi_serdata_unref (taken[i]);
  }
}
