using System.Net.Sockets;

namespace Abuse.Core.Tests;

/// <summary>A server process of a test: connects, says that it is ready, and serves the shared file until its host is gone or it is killed.</summary>
internal static class RemoteChild
{
    internal static async Task<int> ServeAsync(string socket, string store)
    {
        await using RemoteControl control = await RemoteControl.ConnectAsync(
            new UnixDomainSocketEndPoint(socket), new RemoteControlOptions { MaxBiosInFlight = 24 });
        await using var target = new SharedFileTarget(store);
        using BioServer server = control.Serve(target, concurrency: 2);
        Console.WriteLine("ready");
        await control.Completion;
        return 0;
    }

    /// <summary>A file that several processes have open, without caches of their own.</summary>
    private sealed class SharedFileTarget(string path) : BlockTarget
    {
        private readonly FileStream _file = new(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);

        public override BlockGeometry Geometry => new(_file.Length, 512) { Features = BlockFeatures.Flush };

        public override BioResult Execute(in BioHead bio, BioSpans data)
        {
            if (bio.Op == BioOp.Read)
            {
                return RandomAccess.Read(_file.SafeFileHandle, data[0], bio.Offset) == bio.Length ? BioResult.Ok : BioResult.IoError;
            }

            if (bio.Op == BioOp.Write)
            {
                RandomAccess.Write(_file.SafeFileHandle, data[0], bio.Offset);
            }

            return BioResult.Ok;
        }

        public override async ValueTask DisposeAsync()
        {
            await _file.DisposeAsync();
            await base.DisposeAsync();
        }
    }
}
