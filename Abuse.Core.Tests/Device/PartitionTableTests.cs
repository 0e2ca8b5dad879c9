using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Boot records, by hand: what tools never write.</summary>
[TestFixture]
public sealed partial class PartitionTableTests
{
    private const byte Linux = 0x83;
    private const byte Extended = 0x0F;

    [TestCase(512)]
    [TestCase(4096)]
    public void Primary_partitions_have_the_numbers_of_their_slots_and_count_in_logical_blocks(int blockSize)
    {
        DiskImage image = new DiskImage(1000, blockSize).Dos(0, 2, Linux, 10, 20).Dos(0, 4, Linux, 100, 900);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (2, 10L, 20L), (4, 100L, 900L) }));
        Assert.That(image.Parse().Partitions[0], Is.EqualTo(new BlockPartition(2, 10 * blockSize, 20 * blockSize)));
    }

    [Test]
    public void An_entry_without_a_type_is_a_partition_as_in_Linux() =>
        Assert.That(new DiskImage(1000).Dos(0, 1, 0, 10, 20).Partitions(), Has.Length.EqualTo(1));

    [TestCase(0x05)]
    [TestCase(0x0F)]
    [TestCase(0x85)]
    public void Logical_partitions_are_numbered_from_5_and_their_container_has_1_KiB(byte type)
    {
        DiskImage image = new DiskImage(1000)
            .Dos(0, 1, Linux, 10, 20)
            .Dos(0, 2, type, 100, 500)
            .Dos(100, 1, Linux, 1, 40).Dos(100, 2, 0x05, 50, 100)
            .Dos(150, 1, Linux, 2, 60).Dos(150, 2, 0x05, 200, 100)
            .Dos(300, 1, Linux, 3, 70);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 10L, 20L), (2, 100L, 2L), (5, 101L, 40L), (6, 152L, 60L), (7, 303L, 70L) }));
    }

    [Test]
    public void A_container_of_large_blocks_has_one_of_them()
    {
        DiskImage image = new DiskImage(1000, 4096).Dos(0, 1, Extended, 100, 500).Dos(100, 1, Linux, 1, 40);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 100L, 1L), (5, 101L, 40L) }));
    }

    [Test]
    public void A_record_of_the_chain_without_a_partition_takes_no_number()
    {
        DiskImage image = new DiskImage(1000)
            .Dos(0, 1, Extended, 100, 500)
            .Dos(100, 2, 0x05, 50, 100)
            .Dos(150, 1, Linux, 2, 60);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 100L, 2L), (5, 152L, 60L) }));
    }

    [Test]
    public void Garbage_in_the_third_and_fourth_entries_of_the_chain_is_ignored()
    {
        DiskImage image = new DiskImage(1000)
            .Dos(0, 1, Extended, 100, 500)
            .Dos(100, 1, Linux, 1, 40).Dos(100, 3, Linux, 450, 60).Dos(100, 4, Linux, uint.MaxValue, uint.MaxValue);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 100L, 2L), (5, 101L, 40L) }));
    }

    [TestCase(100u, 0u, TestName = "{m}(to itself)")]
    [TestCase(150u, 0u, TestName = "{m}(back to the first)")]
    [TestCase(150u, 50u, TestName = "{m}(the second to itself)")]
    public void A_chain_that_loops_ends(uint second, uint link)
    {
        DiskImage image = new DiskImage(1000)
            .Dos(0, 1, Extended, 100, 500)
            .Dos(100, 1, Linux, 1, 10).Dos(100, 2, 0x05, second - 100, 100)
            .Dos(second, 1, Linux, 11, 10).Dos(second, 2, 0x05, link, 100);
        Assert.That(image.Partitions(), Has.Length.InRange(2, 3));
        Assert.That(image.Reads, Has.Count.InRange(2, 3));
    }

    [Test]
    public void A_chain_of_empty_records_ends_after_100()
    {
        var image = new DiskImage(2000);
        image.Dos(0, 1, Extended, 10, 1900);
        for (uint i = 0; i < 500; i++)
        {
            image.Dos(10 + i, 2, 0x05, i + 1, 1);
        }

        Assert.That(image.Partitions(), Has.Length.EqualTo(1));
        Assert.That(image.Reads, Has.Count.EqualTo(101));
    }

    [Test]
    public void A_link_that_leaves_the_device_ends_the_chain([Values(900u, uint.MaxValue)] uint link)
    {
        DiskImage image = new DiskImage(1000)
            .Dos(0, 1, Extended, 100, uint.MaxValue)
            .Dos(100, 1, Linux, 1, 10).Dos(100, 2, 0x05, link, uint.MaxValue);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 100L, 2L), (5, 101L, 10L) }));
    }

    [Test]
    public void What_starts_behind_the_end_is_left_out_and_what_ends_behind_it_is_cut()
    {
        DiskImage image = new DiskImage(1000)
            .Dos(0, 1, Linux, 1000, 1).Dos(0, 2, Linux, 999, 2).Dos(0, 3, Linux, uint.MaxValue, uint.MaxValue).Dos(0, 4, Extended, 5000, 10);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (2, 999L, 1L) }));
        Assert.That(image.Reads, Has.Count.EqualTo(1));
    }

    [Test]
    public void What_overlaps_an_earlier_entry_is_left_out()
    {
        DiskImage image = new DiskImage(1000)
            .Dos(0, 1, Linux, 100, 100).Dos(0, 2, Linux, 199, 10).Dos(0, 3, Linux, 200, 10).Dos(0, 4, Linux, 1, 900);
        Assert.That(image.Partitions(), Is.EqualTo(new[] { (1, 100L, 100L), (3, 200L, 10L) }));
    }

    [Test]
    public void No_number_is_above_the_limit()
    {
        DiskImage image = new DiskImage(1000)
            .Dos(0, 1, Linux, 10, 20).Dos(0, 3, Extended, 100, 500)
            .Dos(100, 1, Linux, 1, 10).Dos(100, 2, 0x05, 50, 100)
            .Dos(150, 1, Linux, 1, 10);
        Assert.That(image.Partitions(limit: 5), Has.Length.EqualTo(3));
        Assert.That(image.Reads, Has.Count.EqualTo(2), "nor is it looked for");
        Assert.That(image.Partitions(limit: 4), Has.Length.EqualTo(2));
        Assert.That(image.Partitions(limit: 2), Has.Length.EqualTo(1));
    }

    [Test]
    public void Without_a_signature_there_is_no_table()
    {
        DiskImage image = new DiskImage(1000).Dos(0, 1, Linux, 10, 20);
        image.Bytes[511] = 0;
        Assert.That(image.Partitions(), Is.Empty);
    }

    [Test]
    public void A_boot_flag_that_is_neither_0_nor_0x80_means_that_it_is_no_table()
    {
        DiskImage image = new DiskImage(1000).Dos(0, 1, Linux, 10, 20);
        image.Bytes[0x1BE] = 0x80;
        Assert.That(image.Partitions(), Has.Length.EqualTo(1));
        image.Bytes[0x1BE + 48] = 0x61;
        Assert.That(image.Partitions(), Is.Empty);
    }

    [Test]
    public void A_device_smaller_than_a_block_is_not_read()
    {
        var image = new DiskImage(0, 4096);
        Assert.That(image.Partitions(), Is.Empty);
        Assert.That(image.Reads, Is.Empty);
    }

    [TestCase(0L)]
    [TestCase(150L)]
    public void A_read_that_fails_fails_the_whole(long block)
    {
        DiskImage image = new DiskImage(1000)
            .Dos(0, 1, Linux, 10, 20).Dos(0, 2, Extended, 100, 500)
            .Dos(100, 1, Linux, 1, 10).Dos(100, 2, 0x05, 50, 100);
        image.Failures[block] = BioResult.MediaFailure;
        (BioResult result, IReadOnlyList<BlockPartition> partitions) = image.Parse();
        Assert.That(result, Is.EqualTo(BioResult.MediaFailure));
        Assert.That(partitions, Is.Empty);
    }
}
