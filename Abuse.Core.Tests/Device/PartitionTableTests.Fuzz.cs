using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Whatever the bytes: no exception, no loop, nothing outside, nothing twice.</content>
public sealed partial class PartitionTableTests
{
    [TestCase(512)]
    [TestCase(4096)]
    public void Random_bytes_with_a_signature_never_throw_or_loop(int blockSize)
    {
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        for (int round = 0; round < 1000; round++)
        {
            var image = new DiskImage(random.Next(1, 64), blockSize);
            random.NextBytes(image.Bytes);
            Tame(image, blockSize, random);
            AssertSane(image, blockSize, seed, round);
        }
    }

    [TestCase(512)]
    [TestCase(4096)]
    public void A_valid_table_with_random_changes_never_throws_or_loops(int blockSize)
    {
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        int found = 0;
        for (int round = 0; round < 1000; round++)
        {
            DiskImage image = round % 2 == 0
                ? new DiskImage(100, blockSize).Gpt((50, 59), (60, 60), (70, 80))
                : new DiskImage(100, blockSize).Dos(0, 1, Linux, 10, 5).Dos(0, 2, Extended, 20, 70)
                    .Dos(20, 1, Linux, 1, 5).Dos(20, 2, 0x05, 10, 20).Dos(30, 1, Linux, 1, 5).Dos(30, 2, 0x05, 40, 20).Dos(60, 1, Linux, 1, 5);
            for (int change = random.Next(4); change > 0; change--)
            {
                long block = random.Next(4) switch { 0 => 0, 1 => 1, 2 => 20, _ => random.Next(100) };
                int at = random.Next(2) == 0 ? random.Next(0x1BE, 0x1FE) : random.Next(0, 96);
                image.Block(block)[at] = (byte)random.Next(256);
            }

            // A header that was changed on purpose has the right checksum.
            if (round % 4 == 0)
            {
                image.PatchHeader(1, header => header[random.Next(24, 92)] = (byte)random.Next(256));
            }

            found += AssertSane(image, blockSize, seed, round);
        }

        Assert.That(found, Is.GreaterThan(300), "the changes left enough tables to speak of");
    }

    /// <summary>Gives random bytes what gets them past the first checks: a signature, boot flags, extended entries, small numbers.</summary>
    private static void Tame(DiskImage image, int blockSize, Random random)
    {
        int blocks = image.Bytes.Length / blockSize;
        for (int block = 0; block < blocks; block++)
        {
            for (int slot = 1; slot <= 4; slot++)
            {
                byte type = (byte)(random.Next(3) == 0 ? 0x05 : random.Next(256));
                image.Dos(block, slot, type, (uint)random.Next(blocks * 2), (uint)random.Next(blocks * 2));
                image.Block(block)[0x1BE + ((slot - 1) * 16)] = 0;
            }
        }
    }

    private static int AssertSane(DiskImage image, int blockSize, int seed, int round)
    {
        string context = $"seed {seed}, round {round}";
        (BioResult result, IReadOnlyList<BlockPartition> partitions) = image.Parse(limit: 64);
        Assert.That(result, Is.EqualTo(BioResult.Ok), context);
        Assert.That(image.Reads, Has.Count.LessThan(1000), context);
        Assert.That(partitions.Select(static partition => partition.Number), Is.Ordered.And.Unique.And.All.InRange(1, 64), context);
        foreach (BlockPartition partition in partitions)
        {
            Assert.That(partition.Length, Is.GreaterThan(0), context);
            Assert.That(partition.Offset, Is.GreaterThanOrEqualTo(0), context);
            Assert.That(partition.Offset + partition.Length, Is.LessThanOrEqualTo(image.Bytes.Length), context);
            Assert.That((partition.Offset % blockSize, partition.Length % blockSize), Is.EqualTo((0L, 0L)), context);
        }

        return partitions.Count;
    }
}
