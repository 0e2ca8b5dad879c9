using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What the kernel is told of a disk, and what it is asked for.</summary>
[TestFixture]
internal sealed class UblkPlanParamsTests
{
    private static readonly UblkHost Host = new() { Processors = 4, PageSize = 4096, KernelRelease = "7.3.4", TargetIdentity = "abc", TargetTakesZeroCopy = true };

    [Test]
    public void A_device_info_is_the_plan_in_the_kernels_words()
    {
        var options = new UblkOptions { Id = 7, Queues = 2, QueueDepth = 32, MaxRequestSize = 64 << 10, Buffers = UblkBuffers.UserCopy };
        UblkDevInfo info = Make(new BlockGeometry(1 << 20), options).ToDevInfo();
        Assert.That((info.Id, info.Queues, info.QueueDepth, info.MaxRequestSize), Is.EqualTo((7u, (ushort)2, (ushort)32, 65536u)));
        Assert.That(info.Flags, Is.EqualTo(UblkFeatures.CmdIoctlEncode | UblkFeatures.UpdateSize | UblkFeatures.UserCopy));
        Assert.That(info.ServerFlags, Is.EqualTo(0xEACF018FBF1678BAul));
        Assert.That((info.State, info.DescriptorSize, info.Pid), Is.EqualTo(((ushort)0, (ushort)0, 0)));
    }

    [Test]
    public void No_id_lets_the_kernel_choose() =>
        Assert.That(Make(new BlockGeometry(0), new UblkOptions()).ToDevInfo().Id, Is.EqualTo(0xFFFFFFFF));

    [TestCase(512, null, 9, 9, 12)]
    [TestCase(4096, null, 12, 12, 12)]
    [TestCase(512, 4096, 9, 12, 12)]
    [TestCase(1024, 1 << 20, 10, 20, 20)]
    public void Blocks_are_told_as_shifts(int block, int? physical, int logicalShift, int physicalShift, int optimalShift)
    {
        UblkParams parameters = Make(new BlockGeometry(1 << 20, block), new UblkOptions { PhysicalBlockSize = physical }).ToParams();
        Assert.That((parameters.LogicalShift, parameters.PhysicalShift, parameters.MinimumShift, parameters.OptimalShift),
            Is.EqualTo(((byte)logicalShift, (byte)physicalShift, (byte)physicalShift, (byte)optimalShift)));
    }

    [TestCase(0L, 0ul)]
    [TestCase(4096L, 8ul)]
    [TestCase(1L << 62, 1ul << 53)]
    public void Sizes_are_told_in_sectors_whatever_the_block(long size, ulong sectors)
    {
        UblkParams parameters = Make(new BlockGeometry(size, 4096), new UblkOptions { MaxRequestSize = 8192 }).ToParams();
        Assert.That((parameters.Sectors, parameters.MaxSectors, parameters.Length), Is.EqualTo((sectors, 16u, 152u)));
        Assert.That((parameters.ChunkSectors, parameters.VirtBoundaryMask), Is.EqualTo((0u, 0ul)));
    }

    [TestCase(BlockFeatures.None, false, false, 0u)]
    [TestCase(BlockFeatures.None, true, false, 1u)]
    [TestCase(BlockFeatures.None, false, true, 2u)]
    [TestCase(BlockFeatures.Flush, false, false, 4u)]
    [TestCase(BlockFeatures.Flush | BlockFeatures.Fua, false, false, 12u)]
    [TestCase(BlockFeatures.Fua, false, false, 0u)]
    [TestCase(BlockFeatures.All, true, true, 15u)]
    public void Attributes_follow_what_the_disk_is_like(BlockFeatures features, bool readOnly, bool rotational, uint attributes)
    {
        var geometry = new BlockGeometry(1 << 20) { Features = features, IsReadOnly = readOnly, IsRotational = rotational };
        Assert.That(Make(geometry, new UblkOptions()).ToParams().Attributes, Is.EqualTo(attributes));
    }

    [Test]
    public void Fua_without_flushes_is_not_told_and_noted()
    {
        var geometry = new BlockGeometry(1 << 20) { Features = BlockFeatures.Fua };
        Assert.That(Make(geometry, new UblkOptions()).Notes, Has.Exactly(1).Contains("FUA"));
        Assert.That(Make(geometry with { Features = BlockFeatures.Fua | BlockFeatures.Flush }, new UblkOptions()).Notes, Is.Empty);
    }

    [TestCase(BlockFeatures.None, 1u, 0u, 0u, 0u, 0)]
    [TestCase(BlockFeatures.Discard, 3u, 1u << 21, 0u, 4096u, 1)]
    [TestCase(BlockFeatures.WriteZeroes, 3u, 0u, 1u << 17, 4096u, 1)]
    [TestCase(BlockFeatures.All, 3u, 1u << 21, 1u << 17, 4096u, 1)]
    public void Discards_and_zeroes_are_told_where_the_target_takes_them(
        BlockFeatures features, uint types, uint discard, uint zeroes, uint granularity, int segments)
    {
        UblkParams parameters = Make(new BlockGeometry(1 << 20, 4096) { Features = features }, new UblkOptions()).ToParams();
        Assert.That(parameters.Types, Is.EqualTo(types));
        Assert.That((parameters.MaxDiscardSectors, parameters.MaxWriteZeroesSectors, parameters.DiscardGranularity, parameters.MaxDiscardSegments),
            Is.EqualTo((discard, zeroes, granularity, (ushort)segments)));
    }

    [Test]
    public void The_length_of_a_discard_fits_its_result()
    {
        UblkParams parameters = Make(new BlockGeometry(1 << 20) { Features = BlockFeatures.All }, new UblkOptions()).ToParams();
        Assert.That(parameters.MaxDiscardSectors * 512L, Is.LessThanOrEqualTo(int.MaxValue));
        Assert.That(parameters.MaxWriteZeroesSectors * 512L, Is.LessThanOrEqualTo(int.MaxValue));
    }

    [TestCase(UblkBuffers.Copy, 1u, 0u)]
    [TestCase(UblkBuffers.UserCopy, 1u, 0u)]
    [TestCase(UblkBuffers.ZeroCopy, 17u, 511u)]
    public void Only_zero_copy_asks_how_memory_is_aligned(UblkBuffers buffers, uint types, uint alignment)
    {
        UblkParams parameters = Make(new BlockGeometry(1 << 20), new UblkOptions { Buffers = buffers }).ToParams();
        Assert.That((parameters.Types, parameters.DmaAlignment), Is.EqualTo((types, alignment)));
    }

    private static UblkPlan Make(BlockGeometry geometry, UblkOptions options) => UblkPlan.Make(geometry, options, (UblkFeatures)0x1FFFFF, Host);
}
