using System.Buffers.Binary;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>GUID partition tables, by hand.</content>
public sealed partial class PartitionTableTests
{
    private const int Blocks = 2000;

    [Test]
    public void The_checksum_is_the_one_that_everybody_calls_CRC_32() =>
        Assert.That(PartitionTable.Crc32("123456789"u8), Is.EqualTo(0xCBF43926));

    [TestCase(512)]
    [TestCase(4096)]
    public void GPT_entries_have_the_numbers_of_their_places(int blockSize)
    {
        DiskImage image = new DiskImage(Blocks, blockSize).Gpt((100, 199), (0, 0), (500, 500));
        image.Bytes[(2 * blockSize) + 128 + 15] = 0;
        image.Bytes[((Blocks - 1) * blockSize) - (16384 / blockSize * blockSize) + 128 + 15] = 0;
        RedoTable(image, blockSize);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 100L, 100L), (3, 500L, 1L) }));
        Assert.That(image.Reads, Is.EqualTo(new long[] { 0, 1, 2 }), "the record, the header, the table");
    }

    [TestCase(128, 256)]
    [TestCase(4, 128)]
    [TestCase(1, 4096)]
    [TestCase(8192, 128)]
    public void Entries_may_be_longer_than_128_bytes_and_as_many_as_a_bio_carries(int count, int size)
    {
        DiskImage image = new DiskImage(8000).Gpt(count, size, (3000, 3099));
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 3000L, 100L) }));
    }

    [Test]
    public void The_protective_record_s_own_entry_and_those_beside_it_are_not_partitions()
    {
        DiskImage image = new DiskImage(Blocks).Gpt((100, 199)).Dos(0, 2, Linux, 700, 10);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 100L, 100L) }));
    }

    [Test]
    public void Without_a_protective_record_a_GPT_is_not_looked_for()
    {
        DiskImage image = new DiskImage(Blocks).Gpt((100, 199)).Dos(0, 1, Linux, 700, 10);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 700L, 10L) }));
        image.Dos(0, 1, 0xEE, 2, 10);
        Assert.That(image.Partitions(), Is.Empty, "out of its place it says only that the record is not to be believed");
    }

    private static IEnumerable<TestCaseData> Damages()
    {
        yield return Damage("signature", static header => header[0] = 0);
        yield return Damage("header size below 92", static header => U32(header, 12, 91));
        yield return Damage("header size above the block", static header => U32(header, 12, 513));
        yield return Damage("header size huge", static header => U32(header, 12, uint.MaxValue));
        yield return Damage("another header's place", static header => U64(header, 24, 7));
        yield return Damage("usable range reversed", static header => U64(header, 40, 1995));
        yield return Damage("usable range behind the end", static header => U64(header, 48, Blocks));
        yield return Damage("table behind the end", static header => U64(header, 72, Blocks));
        yield return Damage("table crosses the end", static header => U64(header, 72, Blocks - 1));
        yield return Damage("table's place overflows", static header => U64(header, 72, ulong.MaxValue));
        yield return Damage("no entries", static header => U32(header, 80, 0));
        yield return Damage("more entries than a bio carries", static header => U32(header, 80, 8193));
        yield return Damage("entries overflow", static header => U32(header, 80, uint.MaxValue));
        yield return Damage("entries of 0 bytes", static header => U32(header, 84, 0));
        yield return Damage("entries of 64 bytes", static header => U32(header, 84, 64));
        yield return Damage("entries of 132 bytes", static header => U32(header, 84, 132));
        yield return Damage("table's checksum", static header => header[88] ^= 1);
    }

    [TestCaseSource(nameof(Damages))]
    public void Where_the_primary_header_is_damaged_the_backup_is_read(Action<byte[]> damage)
    {
        DiskImage image = new DiskImage(Blocks).Gpt((100, 199)).PatchHeader(1, damage);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 100L, 100L) }));
        Assert.That(image.Reads, Does.Contain(Blocks - 1L));
    }

    [TestCaseSource(nameof(Damages))]
    public void Where_both_headers_are_damaged_there_are_no_partitions(Action<byte[]> damage)
    {
        DiskImage image = new DiskImage(Blocks).Gpt((100, 199)).PatchHeader(1, damage).PatchHeader(Blocks - 1, damage);
        Assert.That(image.Partitions(), Is.Empty);
    }

    [TestCase(512 + 60, TestName = "{m}(a byte of the header)")]
    [TestCase(1024 + 300, TestName = "{m}(a byte of the table)")]
    public void A_byte_that_rotted_is_found_by_a_checksum(int at)
    {
        DiskImage image = new DiskImage(Blocks).Gpt((100, 199));
        image.Bytes[at] ^= 0x10;
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 100L, 100L) }));
        Assert.That(image.Reads, Does.Contain(Blocks - 1L));
    }

    [Test]
    public void Entries_that_are_reversed_outside_or_overlap_are_left_out()
    {
        DiskImage image = new DiskImage(Blocks).Gpt(
            (100, 199), (300, 299), (1999, 2000), (ulong.MaxValue, ulong.MaxValue), (0, ulong.MaxValue), (199, 210), (200, 210), (1999, 1999));
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 100L, 100L), (7, 200L, 11L), (8, 1999L, 1L) }));
    }

    [Test]
    public void No_GPT_number_is_above_the_limit_and_none_above_255()
    {
        (ulong, ulong)[] entries = [.. Enumerable.Range(0, 300).Select(static i => (500 + (ulong)i, 500 + (ulong)i))];
        DiskImage image = new DiskImage(Blocks).Gpt(300, 128, entries);
        Assert.That(image.Partitions(limit: 7).Select(static partition => partition.Number), Is.EqualTo(Enumerable.Range(1, 7)));
        Assert.That(image.Partitions(limit: int.MaxValue).Select(static partition => partition.Number), Is.EqualTo(Enumerable.Range(1, 255)));
    }

    [TestCase(1L)]
    [TestCase(2L)]
    public void Where_the_primary_can_not_be_read_the_backup_is(long block)
    {
        DiskImage image = new DiskImage(Blocks).Gpt((100, 199));
        image.Failures[block] = BioResult.MediaFailure;
        Assert.That(image.Partitions(), Has.Length.EqualTo(1));
        image.Failures[Blocks - 1] = BioResult.Timeout;
        Assert.That(image.Parse().Result, Is.EqualTo(BioResult.MediaFailure));
    }

    [TestCase(BioResult.Offline)]
    [TestCase(BioResult.Canceled)]
    public void Where_the_reading_was_ended_the_backup_is_not_tried(BioResult ended)
    {
        DiskImage image = new DiskImage(Blocks).Gpt((100, 199));
        image.Failures[1] = ended;
        Assert.That(image.Parse().Result, Is.EqualTo(ended));
        Assert.That(image.Reads, Is.EqualTo(new long[] { 0, 1 }));
    }

    [Test]
    public void A_damaged_primary_and_a_backup_that_can_not_be_read_is_a_failure_and_not_an_empty_table()
    {
        DiskImage image = new DiskImage(Blocks).Gpt((100, 199));
        image.Block(1)[0] = 0;
        image.Failures[Blocks - 1] = BioResult.MediaFailure;
        Assert.That(image.Parse().Result, Is.EqualTo(BioResult.MediaFailure));
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public void A_protective_record_on_a_tiny_device_ends_well(int blocks)
    {
        DiskImage image = new DiskImage(blocks).Dos(0, 1, 0xEE, 1, 100);
        Assert.That(image.Partitions(), Is.Empty);
    }

    /// <summary>Makes the checksums of a table that was changed in place right again, in both headers.</summary>
    private static void RedoTable(DiskImage image, int blockSize)
    {
        byte[] table = image.Bytes[(2 * blockSize)..((2 * blockSize) + 16384)];
        image.PatchHeader(1, header => U32(header, 88, PartitionTable.Crc32(table)));
        image.PatchHeader(Blocks - 1, header => U32(header, 88, PartitionTable.Crc32(table)));
    }

    private static TestCaseData Damage(string name, Action<byte[]> damage) => new TestCaseData(damage).SetArgDisplayNames(name);

    private static void U32(byte[] header, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(at), value);

    private static void U64(byte[] header, int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(at), value);
}
