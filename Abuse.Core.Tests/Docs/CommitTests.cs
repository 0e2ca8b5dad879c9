using Abuse.Core;
using NUnit.Framework;

namespace MyStore.Tests;

public class CommitTests
{
    [Test]
    public async Task No_commit_record_is_written_when_the_data_is_not_durable()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        using BioChannel server = device.Control.OpenChannel(new BioChannelOptions { Takes = BlockFeatures.Flush });

        Task commit = CommitAsync(new BlockClient(device));

        BioRequest data = await server.Reader.ReadAsync();
        Assert.That(data.Op, Is.EqualTo(BioOp.Write));
        Assert.That(device.QueueSize, Is.EqualTo(1), "nothing else goes out before the data is stored");
        data.Complete(BioResult.Ok);

        BioRequest flush = await server.Reader.ReadAsync();
        Assert.That(flush.Op, Is.EqualTo(BioOp.Flush));
        flush.Complete(BioResult.MediaFailure);

        BlockIOException? failure = await Assert.ThrowsAsync<BlockIOException>(() => commit);
        Assert.That(failure!.Result, Is.EqualTo(BioResult.MediaFailure));
        Assert.That(device.QueueSize, Is.Zero, "no commit record follows a failed flush");
    }

    // The code under test: data, flush, commit record.
    private static async Task CommitAsync(BlockClient disk)
    {
        await disk.WriteAsync(4096, new byte[4096]);
        await disk.FlushAsync();
        await disk.WriteAsync(0, new byte[512]);
    }
}
