using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Inline, on the submitter's thread and memory.</summary>
[TestFixture]
public sealed class ServedByAttachedMemoryTests : FrontEndContract
{
    private protected override IDisposable Serve(AbuseDevice device, BlockTarget store) => device.Attach(store);
}

/// <summary>By an attached target that answers later.</summary>
[TestFixture]
public sealed class ServedByAttachedAsyncTargetTests : FrontEndContract
{
    private protected override IDisposable Serve(AbuseDevice device, BlockTarget store) => device.Attach(new LaterTarget(store));
}

/// <summary>By somebody's loop over a channel.</summary>
[TestFixture]
public sealed class ServedByChannelTests : FrontEndContract
{
    private protected override IDisposable Serve(AbuseDevice device, BlockTarget store) => new ChannelServer(device, store);
}

/// <summary>By a pump with one worker.</summary>
[TestFixture]
public sealed class ServedByPumpTests : FrontEndContract
{
    private protected override IDisposable Serve(AbuseDevice device, BlockTarget store) => device.Control.Serve(store);
}

/// <summary>By a pump with eight workers, of a target that answers later.</summary>
[TestFixture]
public sealed class ServedByWidePumpTests : FrontEndContract
{
    private protected override IDisposable Serve(AbuseDevice device, BlockTarget store) => device.Control.Serve(new LaterTarget(store), concurrency: 8);
}

/// <summary>By GET_BIO and PUT_BIO, as in 2009.</summary>
[TestFixture]
public sealed class ServedByRawCallsTests : FrontEndContract
{
    private protected override BlockFeatures Features => BlockFeatures.Flush | BlockFeatures.Fua;

    private protected override IDisposable Serve(AbuseDevice device, BlockTarget store) => new RawServer(device, store);
}
