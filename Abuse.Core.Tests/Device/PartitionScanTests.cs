using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>When a device reads its table, and what ends that (D12). The raw server here is a single thread, as one of 2009 is.</summary>
[TestFixture]
public sealed class PartitionScanTests
{
    private const byte Linux = 0x83;
    private const int Size = 1000 * 512;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly AbuseModuleOptions FifteenPartitions = new() { MaxPart = 15 };

    private static DiskImage Image => new DiskImage(1000)
        .Dos(0, 1, Linux, 10, 20).Dos(0, 2, 0x05, 100, 500)
        .Dos(100, 1, Linux, 1, 10).Dos(100, 2, 0x05, 50, 100)
        .Dos(150, 1, Linux, 1, 10);

    [Test]
    [SemanticsRow(Row.D12)]
    [SemanticsRow(Row.BeyondPartitions)]
    public void The_thread_that_called_SET_STATUS_can_serve_the_reads_that_follow_from_it()
    {
        using var rig = new RawRig(FifteenPartitions);
        Configure(rig);
        Assert.That(rig.Device.Partitions, Is.Empty);
        Serve(rig, Image, () => rig.Device.Partitions.Count != 0);
        Assert.That(Numbers(rig), Is.EqualTo("1 2 5 6"));
        Assert.That(rig.Device.Partitions[0], Is.EqualTo(new BlockPartition(1, 10 * 512, 20 * 512)));
    }

    [Test]
    [SemanticsRow(Row.D12)]
    public void The_reads_are_ordinary_bios()
    {
        using var rig = new RawRig(FifteenPartitions);
        Configure(rig);
        AbuseTransferHeader header = GetNext(rig);
        Assert.That((header.Sector, header.Command, header.VectorCount), Is.EqualTo((0ul, AbuseCommand.Read, 1u)));
        Assert.That(rig.Status.QueueSize, Is.EqualTo(1));
    }

    [Test]
    [SemanticsRow(Row.D12)]
    public void With_max_part_0_and_after_a_failed_SET_STATUS_nothing_is_read()
    {
        using RawRig without = RawRig.Configured(size: Size);
        using var rig = new RawRig(FifteenPartitions);
        rig.Control.SetStatus(RawRig.Info(size: 511));

        // A device that does read has its bio by then, and so would these.
        using var reading = new RawRig(FifteenPartitions);
        Configure(reading);
        GetNext(reading);
        Thread.Sleep(50);
        Assert.That((without.Status.QueueSize, rig.Status.QueueSize), Is.EqualTo((0u, 0u)));
        Assert.That(without.Device.RereadPartitionsAsync().AsTask().Result, Is.EqualTo(BioResult.NotSupported));
    }

    [Test]
    [SemanticsRow(Row.D12)]
    [SemanticsRow(Row.ResetDropsPartitions)]
    public void A_reset_ends_the_reading_at_once()
    {
        using var rig = new RawRig(FifteenPartitions);
        Configure(rig);
        AbuseTransferHeader header = GetNext(rig);
        Task<BioResult> reread = Begin(rig);
        Assert.That(rig.Control.Reset(), Is.EqualTo(Errno.None));
        Assert.That(Wait(reread), Is.EqualTo(BioResult.Offline));
        Assert.That(rig.Put(header), Is.EqualTo(Errno.ENOMSG));
        Assert.That((rig.Status.QueueSize, rig.Status.Errors), Is.EqualTo((0u, 0u)), "no further read was even tried");
    }

    [Test]
    [SemanticsRow(Row.ResetDropsPartitions)]
    public void A_reset_drops_the_partitions_and_the_next_configuration_has_none_until_they_are_read()
    {
        using var rig = new RawRig(FifteenPartitions);
        Configure(rig);
        Serve(rig, Image, () => rig.Device.Partitions.Count != 0);
        rig.Control.Reset();
        Assert.That(rig.Device.Partitions, Is.Empty);
        Configure(rig);
        Assert.That(rig.Device.Partitions, Is.Empty);
        Serve(rig, new DiskImage(1000).Dos(0, 3, Linux, 7, 7), () => rig.Device.Partitions.Count != 0);
        Assert.That(rig.Device.Partitions.Single().Number, Is.EqualTo(3));
    }

    [Test]
    [SemanticsRow(Row.D12)]
    public void A_reading_that_a_reset_comes_between_lists_nothing_in_the_next_configuration()
    {
        using var rig = new RawRig(FifteenPartitions);
        Configure(rig);
        AbuseTransferHeader header = GetNext(rig);
        Image.Bytes.AsSpan(0, 512).CopyTo(rig.ServerBytes);
        Task<BioResult> reread = Begin(rig);
        header = GetNext(rig);
        Assert.That(rig.Put(header), Is.EqualTo(Errno.None));
        AbuseTransferHeader second = GetNext(rig);
        Assert.That(second.Sector, Is.EqualTo(100), "under way, with the first entry in hand");
        rig.Control.Reset();
        Configure(rig);
        Assert.That(Wait(reread), Is.EqualTo(BioResult.Offline));
        Assert.That(GetNext(rig).Sector, Is.Zero, "the new configuration's own reading");
        Assert.That(rig.Device.Partitions, Is.Empty);
    }

    [Test]
    [SemanticsRow(Row.BeyondPartitions)]
    public void A_later_reading_takes_the_place_of_an_older_one()
    {
        using var rig = new RawRig(FifteenPartitions);
        Configure(rig);
        GetNext(rig);
        Task<BioResult> first = Begin(rig);
        Task<BioResult> second = Begin(rig);
        Assert.That(Wait(first), Is.EqualTo(BioResult.Canceled));
        Assert.That(SpinWait.SpinUntil(() => rig.Device.QueueSize == 1, Patience), Is.True, "one read alone is left");
        Serve(rig, Image, () => second.IsCompleted);
        Assert.That(Wait(second), Is.EqualTo(BioResult.Ok));
        Assert.That(rig.Device.Partitions, Has.Count.EqualTo(4));
    }

    [Test]
    [SemanticsRow(Row.BeyondPartitions)]
    public void A_reconnect_reads_again_and_what_was_known_stays_until_then()
    {
        using var rig = new RawRig(FifteenPartitions);
        Configure(rig);
        Serve(rig, Image, () => rig.Device.Partitions.Count != 0);
        BlockPartition held = rig.Device.Partitions[0];
        Configure(rig, AbuseFlags.Reconnect);
        GetNext(rig);
        Assert.That(rig.Device.Partitions, Has.Count.EqualTo(4));
        Serve(rig, new DiskImage(1000), () => rig.Device.Partitions.Count == 0);
        Assert.That(held, Is.EqualTo(new BlockPartition(1, 10 * 512, 20 * 512)), "whoever uses one is not disturbed");
    }

    [Test]
    [SemanticsRow(Row.BeyondPartitions)]
    public void A_read_that_fails_leaves_the_partitions_as_they_were()
    {
        using var rig = new RawRig(FifteenPartitions);
        Configure(rig);
        Serve(rig, Image, () => rig.Device.Partitions.Count != 0);
        Task<BioResult> reread = Begin(rig);
        rig.Put(GetNext(rig), AbuseAnswer.MediaFailure);
        Assert.That(Wait(reread), Is.EqualTo(BioResult.MediaFailure));
        Assert.That(rig.Device.Partitions, Has.Count.EqualTo(4));
    }

    [Test]
    [SemanticsRow(Row.BeyondPartitions)]
    public void No_more_partitions_are_listed_than_max_part()
    {
        using var rig = new RawRig(new AbuseModuleOptions { MaxPart = 5 });
        Configure(rig);
        Serve(rig, Image, () => rig.Device.Partitions.Count != 0);
        Assert.That(Numbers(rig), Is.EqualTo("1 2 5"));
    }

    [Test]
    [SemanticsRow(Row.D12)]
    public void Where_the_queue_is_full_the_reading_waits_its_turn_and_counts_no_error()
    {
        using var rig = new RawRig(FifteenPartitions);
        Assert.That(rig.Control.SetStatus(RawRig.Info(size: Size, maxQueue: 0)), Is.EqualTo(Errno.None));
        Task<BioResult> reread = Begin(rig);
        Assert.That((rig.Status.QueueSize, rig.Status.Errors, reread.IsCompleted), Is.EqualTo((0u, 0u, false)));
        Configure(rig, AbuseFlags.Reconnect);
        Serve(rig, Image, () => rig.Device.Partitions.Count != 0);
    }

    [Test]
    [SemanticsRow(Row.BeyondPartitions)]
    public async Task A_device_without_a_module_reads_its_table_on_request_and_a_client_uses_a_partition()
    {
        var target = new MemoryTarget(Size);
        target.Execute(new BioHead { Op = BioOp.Write, Length = Size }, new BioSpans(Image.Bytes));
        await using AbuseDevice device = AbuseDevice.Create(target);
        Assert.That(device.Partitions, Is.Empty);
        Assert.That(await device.RereadPartitionsAsync(), Is.EqualTo(BioResult.Ok));
        Assert.That(device.Partitions, Has.Count.EqualTo(4));

        var client = new BlockClient(device, device.Partitions[0]);
        byte[] block = new byte[512];
        block[0] = 99;
        await client.WriteAsync(0, block);
        await new BlockClient(device).ReadAsync(10 * 512, block.AsMemory());
        Assert.That((client.Size, block[0]), Is.EqualTo((20L * 512, (byte)99)));
    }

    [Test]
    [SemanticsRow(Row.BeyondPartitions)]
    public async Task A_device_without_a_module_lists_up_to_number_128()
    {
        (ulong, ulong)[] entries = [.. Enumerable.Range(0, 200).Select(static i => (300 + (ulong)i, 300 + (ulong)i))];
        var target = new MemoryTarget(Size);
        target.Execute(new BioHead { Op = BioOp.Write, Length = Size }, new BioSpans(new DiskImage(1000).Gpt(200, 128, entries).Bytes));
        await using AbuseDevice device = AbuseDevice.Create(target);
        await device.RereadPartitionsAsync();
        Assert.That(device.Partitions.Select(static partition => partition.Number), Is.EqualTo(Enumerable.Range(1, 128)));
    }

    [Test]
    public void A_cancelled_reading_gives_its_place_in_the_queue_back()
    {
        using var rig = new RawRig(FifteenPartitions);
        Configure(rig);
        GetNext(rig);
        using var cancellation = new CancellationTokenSource();
        Task<BioResult> reread = rig.Device.RereadPartitionsAsync(cancellation.Token).AsTask();
        Assert.That(SpinWait.SpinUntil(() => rig.Device.QueueSize == 1, Patience), Is.True);
        cancellation.Cancel();
        Assert.That(Wait(reread), Is.EqualTo(BioResult.Canceled));
        Assert.That(rig.Device.QueueSize, Is.Zero);
        Assert.That(Wait(rig.Device.RereadPartitionsAsync(cancellation.Token).AsTask()), Is.EqualTo(BioResult.Canceled));
    }

    [Test]
    public void A_device_that_is_not_configured_or_gone_is_Offline()
    {
        var rig = new RawRig(FifteenPartitions);
        Assert.That(Wait(Begin(rig)), Is.EqualTo(BioResult.Offline));
        Configure(rig);
        GetNext(rig);
        Task<BioResult> reread = Begin(rig);
        AbuseDevice device = rig.Device;
        rig.Dispose();
        Assert.That(Wait(reread), Is.EqualTo(BioResult.Offline));
        Assert.That(Wait(device.RereadPartitionsAsync().AsTask()), Is.EqualTo(BioResult.Offline));
        Assert.That(device.Partitions, Is.Empty);
    }

    private static void Configure(RawRig rig, AbuseFlags flags = AbuseFlags.None) =>
        Assert.That(rig.Control.SetStatus(RawRig.Info(size: Size, flags: flags)), Is.EqualTo(Errno.None));

    private static string Numbers(RawRig rig) => string.Join(' ', rig.Device.Partitions.Select(static partition => partition.Number));

    private static Task<BioResult> Begin(RawRig rig) => rig.Device.RereadPartitionsAsync().AsTask();

    private static BioResult Wait(Task<BioResult> reread)
    {
        Assert.That(reread.Wait(Patience), Is.True, "The reading did not end.");
        return reread.Result;
    }

    /// <summary>The next bio, which another thread submits.</summary>
    private static AbuseTransferHeader GetNext(RawRig rig)
    {
        Assert.That(SpinWait.SpinUntil(() => rig.Control.Poll(), Patience), Is.True, "No bio came.");
        return rig.Get();
    }

    /// <summary>GET_BIO and PUT_BIO on this thread until something is so.</summary>
    private static void Serve(RawRig rig, DiskImage image, Func<bool> isDone)
    {
        var header = default(AbuseTransferHeader);
        Assert.That(
            SpinWait.SpinUntil(
                () =>
                {
                    if (rig.Control.GetBio(ref header) == Errno.None)
                    {
                        image.Bytes.AsSpan((int)header.Sector * 512, (int)header.VectorCount * 512).CopyTo(rig.ServerBytes);
                        rig.Put(header);
                    }

                    return isDone();
                },
                Patience),
            Is.True,
            "The partitions were not read.");
    }
}
